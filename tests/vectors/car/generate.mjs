// Write the good vectors of this folder and of ../cid anew:
//   npm install --prefix DIR @ipld/car@5.4.7 @ipld/dag-pb@4.2.0 multiformats@14.0.5 ipfs-unixfs@13.1.1
//   cp generate.mjs DIR && node DIR/generate.mjs tests/vectors
// The libraries are run as they are; nothing of them is copied.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CarWriter } from "@ipld/car";
import * as dagPb from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";

const folder = process.argv[2];
const text = new TextEncoder();

async function named(bytes, codec) {
  return { cid: CID.createV1(codec, await sha256.digest(bytes)), bytes };
}

async function carOf(root, blocks) {
  const { writer, out } = CarWriter.create([root]);
  const pieces = (async () => {
    const all = [];
    for await (const piece of out) all.push(piece);
    return Buffer.concat(all);
  })();
  for (const block of blocks) await writer.put(block);
  await writer.close();
  return pieces;
}

async function directoryOf(files) {
  const links = [];
  const blocks = [];
  for (const [name, content] of Object.entries(files)) {
    const block = await named(text.encode(content), raw.code);
    blocks.push({ name, ...block });
    links.push(dagPb.createLink(name, block.bytes.length, block.cid));
  }
  const data = new UnixFS({ type: "directory" }).marshal();
  // `prepare` sorts the links by the bytes of their names.
  const bytes = dagPb.encode(dagPb.prepare({ Data: data, Links: links }));
  blocks.sort((left, right) => (left.name < right.name ? -1 : 1));
  return [await named(bytes, dagPb.code), ...blocks];
}

const cids = [];
for (const content of ["", "hello world", '{"a":1}', "é".repeat(1000)]) {
  const bytes = text.encode(content);
  for (const codec of [raw.code, dagPb.code, 0x71]) {
    const { cid } = await named(bytes, codec);
    cids.push({
      content,
      codec,
      text: cid.toString(),
      binary: Buffer.from(cid.bytes).toString("hex"),
    });
  }
}
const source = "multiformats 14.0.5 from npm, by ../car/generate.mjs";
writeFileSync(join(folder, "cid/multiformats.json"), JSON.stringify({ source, cids }, null, 1) + "\n");

const inputs = JSON.parse(readFileSync(join(folder, "car/inputs.json")));
const record = await named(text.encode(inputs.record), raw.code);
writeFileSync(join(folder, "car/record.car"), await carOf(record.cid, [record]));
for (const [name, files] of Object.entries(inputs.directories)) {
  const blocks = await directoryOf(files);
  writeFileSync(join(folder, `car/${name}.car`), await carOf(blocks[0].cid, blocks));
}
