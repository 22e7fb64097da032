// An offline js-ipfs with its RPC API on loopback, for tests/integration/test_ipfs_daemon.py:
//   npm install --prefix DIR --ignore-scripts ipfs-core@0.18.1 ipfs-http-server@0.15.1
//   cp ipfs_daemon.mjs DIR && node DIR/ipfs_daemon.mjs PORT DIR/repo
//   CWF_TEST_IPFS_API=http://127.0.0.1:PORT pytest tests/integration/test_ipfs_daemon.py
import { create } from "ipfs-core";
import { HttpApi } from "ipfs-http-server";

const [port, repo] = process.argv.slice(2);
const addresses = { API: `/ip4/127.0.0.1/tcp/${port}`, Swarm: [], Gateway: "" };
const ipfs = await create({
  repo,
  offline: true,
  start: false,
  silent: true,
  init: { emptyRepo: true },
  config: { Addresses: addresses, Bootstrap: [] },
});
await new HttpApi(ipfs).start();
console.log("up");
