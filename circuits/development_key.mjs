// SPDX-License-Identifier: Apache-2.0
// Writes the zkey that `snarkjs groth16 setup` would write, in seconds, from a secret everybody knows.
//
//     node development_key.mjs CIRCUIT.r1cs TARGET.zkey NODE_MODULES
//
// FOR DEVELOPMENT KEYS ONLY. tau, alpha and beta follow from a text in this file, so anybody can
// forge proofs under a key made from it. In return every point is a known multiple of a generator,
// and the file is the same on every machine. It was compared byte for byte with what snarkjs 0.7.6
// makes from powers of the same tau; it still has gamma = delta until it is contributed to.

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const SEED = "airflow-cwf development key: everybody knows this secret";
const [source, target, modules] = process.argv.slice(2);
const curve = await import(pathToFileURL(path.join(modules, "wasmcurves", "build", "bn128_wasm.js")));

const r = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const q = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
const TWO_ADICITY = 28;
const MONTGOMERY = power_of(2n, 512n);
const ROOT = power_of(5n, (r - 1n) >> BigInt(TWO_ADICITY)); // 5 generates the field's units

function power_of(base, exponent) {
    let result = 1n;
    for (let b = base % r, e = exponent; e > 0n; e >>= 1n, b = (b * b) % r) {
        if (e & 1n) result = (result * b) % r;
    }
    return result;
}

function inverse(value) {
    return power_of(value, r - 2n);
}

function secret(name) {
    const digest = crypto.createHash("sha512").update(`${SEED}/${name}`).digest("hex");
    return BigInt(`0x${digest}`) % r;
}

// Values at tau of the Lagrange polynomials over the 2^level-th roots of unity w^i:
// L_i(tau) = w^i (tau^n - 1) / (n (tau - w^i)); one inversion for all (Montgomery's trick).
function lagrange(level) {
    const n = 1 << level;
    const w = power_of(ROOT, 1n << BigInt(TWO_ADICITY - level));
    const scale = ((power_of(tau, BigInt(n)) - 1n + r) * inverse(BigInt(n))) % r;
    const roots = new Array(n), before = new Array(n), values = new Array(n);
    let product = 1n;
    for (let i = 0, x = 1n; i < n; i++, x = (x * w) % r) {
        roots[i] = x;
        before[i] = product;
        product = (product * (tau - x + r)) % r;
    }
    let rest = inverse(product);
    for (let i = n - 1; i >= 0; i--) {
        values[i] = (((scale * roots[i]) % r) * ((rest * before[i]) % r)) % r;
        rest = (rest * (tau - roots[i] + r)) % r;
    }
    return values;
}

// The same over twice the domain, as snarkjs has it in the last level of its powers of tau: the power
// tau^(n-1) is missing there, so its share w^i tau^(n-1) / n is taken off each polynomial.
function lagrange_above(level) {
    const n = 1 << level;
    const w = power_of(ROOT, 1n << BigInt(TWO_ADICITY - level));
    const share = (power_of(tau, BigInt(n - 1)) * inverse(BigInt(n))) % r;
    let root = 1n;
    return lagrange(level).map((value) => {
        const rest = (value - ((root * share) % r) + r) % r;
        root = (root * w) % r;
        return rest;
    });
}

// Multiplies a generator by many scalars: a table of all digits of WINDOW bits, then additions.
const WINDOW = 13;
const DIGITS = Math.ceil(254 / WINDOW);
const CHUNK = 4096;
const memory = new WebAssembly.Memory({ initial: 6000 });
const module = await WebAssembly.instantiate(Buffer.from(curve.code, "base64"), { env: { memory } });
const wasm = module.instance.exports;
const bytes = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);

function allocate(size) {
    const place = words[0]; // the module's own convention: word 0 is the first free byte
    words[0] = (place + size + 7) & ~7;
    return place;
}

function multiplier(prefix, generator, affine) {
    const jacobian = (affine / 2) * 3;
    const call = (name) => wasm[`${prefix}_${name}`];
    const [add, zero, double] = [call("addMixed"), call("zero"), call("double")];
    const [to_affine, all_to_affine] = [call("toAffine"), call("batchToAffine")];
    const size = 1 << WINDOW;
    const table = allocate(DIGITS * size * affine);
    const row = allocate(size * jacobian);
    const base = allocate(jacobian), base_affine = allocate(affine);
    bytes.copyWithin(base, generator, generator + jacobian);
    for (let digit = 0; digit < DIGITS; digit++) {
        to_affine(base, base_affine);
        zero(row);
        for (let i = 1; i < size; i++) {
            add(row + (i - 1) * jacobian, base_affine, row + i * jacobian);
        }
        all_to_affine(row, size, table + digit * size * affine);
        for (let bit = 0; bit < WINDOW; bit++) double(base, base);
    }
    const sums = allocate(CHUNK * jacobian), points = allocate(CHUNK * affine);
    const uncompressed = allocate(CHUNK * affine);
    // Yields chunks of points: as the file holds them, and as the circuit's hash sees them.
    return function* (scalars) {
        for (let start = 0; start < scalars.length; start += CHUNK) {
            const count = Math.min(CHUNK, scalars.length - start);
            for (let i = 0; i < count; i++) {
                const sum = sums + i * jacobian;
                const text = scalars[start + i].toString(2).padStart(DIGITS * WINDOW, "0");
                zero(sum);
                for (let digit = 0; digit < DIGITS; digit++) {
                    const at = (DIGITS - 1 - digit) * WINDOW;
                    const value = parseInt(text.slice(at, at + WINDOW), 2);
                    if (value) add(sum, table + (digit * size + value) * affine, sum);
                }
            }
            all_to_affine(sums, count, points);
            call("batchLEMtoU")(points, count, uncompressed);
            yield [points, uncompressed].map((at) => bytes.slice(at, at + count * affine));
        }
    };
}

const little_endian = (value, size) => {
    const data = Buffer.alloc(size);
    for (let i = 0, rest = BigInt(value); i < size; i++, rest >>= 8n) data[i] = Number(rest & 255n);
    return data;
};

// The r1cs: a header, and per constraint three lists of (wire, coefficient) with A * B = C.
function sections(data) {
    const found = new Map();
    for (let at = 12, left = data.readUInt32LE(8); left > 0; left--) {
        const size = Number(data.readBigUInt64LE(at + 4));
        found.set(data.readUInt32LE(at), data.subarray(at + 12, at + 12 + size));
        at += 12 + size;
    }
    return found;
}

const r1cs = sections(fs.readFileSync(source));
const header = r1cs.get(1);
const field = (index) => header.readUInt32LE(36 + 4 * index);
const wires = field(0), signals = field(1) + field(2), constraints = header.readUInt32LE(60);
const level = Math.ceil(Math.log2(constraints + signals + 1));
const domain = 1 << level;

function* terms() {
    const data = r1cs.get(2);
    let at = 0;
    for (let row = 0; row < constraints; row++) {
        for (const side of "ABC") {
            const count = data.readUInt32LE(at);
            at += 4;
            for (let i = 0; i < count; i++, at += 36) {
                const digits = Buffer.from(data.subarray(at + 4, at + 36)).reverse().toString("hex");
                yield { row, side, wire: data.readUInt32LE(at), factor: BigInt(`0x${digits}`) };
            }
        }
    }
    for (let wire = 0; wire <= signals; wire++) {
        yield { row: constraints + wire, side: "A", wire, factor: 1n };
    }
}

// Per wire: its polynomials at tau, u (A), v (B) and beta u + alpha v + w (private or public part).
const tau = secret("tau"), alpha = secret("alpha"), beta = secret("beta");
const at_tau = lagrange(level);
const [u, v, mixed] = [0, 0, 0].map(() => new Array(wires).fill(0n));
const weight = { A: beta, B: alpha, C: 1n };
const coefficients = [];
for (const { row, side, wire, factor } of terms()) {
    const value = (factor * at_tau[row]) % r;
    if (side === "A") u[wire] = (u[wire] + value) % r;
    if (side === "B") v[wire] = (v[wire] + value) % r;
    mixed[wire] = (mixed[wire] + value * weight[side]) % r;
    if (side !== "C") {
        const place = [side === "A" ? 0 : 1, row, wire].map((number) => little_endian(number, 4));
        // snarkjs stores factors times R^2, R = 2^256 the Montgomery constant.
        coefficients.push(...place, little_endian((factor * MONTGOMERY) % r, 32));
    }
}

// The zkey. Its sections stand in the order in which snarkjs writes them, and hashes them.
const g1 = multiplier("g1m", curve.pG1gen, 64);
const g2 = multiplier("g2m", curve.pG2gen, 128);
const hash = crypto.createHash("blake2b512"); // the "circuit hash" that contributions start from
const output = [Buffer.from("zkey"), little_endian(1, 4), little_endian(10, 4)];

function section(id, ...parts) {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    output.push(little_endian(id, 4), little_endian(size, 8), ...parts);
}

function hash_size(count) {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(count);
    hash.update(data);
}

function points(group, scalars) {
    const parts = [];
    for (const [stored, hashed] of group(scalars)) {
        hash.update(hashed);
        parts.push(stored);
    }
    return parts;
}

function hashed_section(id, group, scalars) {
    hash_size(scalars.length);
    section(id, ...points(group, scalars));
}

section(1, little_endian(1, 4)); // Groth16
section(
    2,
    ...[little_endian(32, 4), little_endian(q, 32), little_endian(32, 4), little_endian(r, 32)],
    ...[wires, signals, domain].map((number) => little_endian(number, 4)),
    ...points(g1, [alpha]),
    ...points(g1, [beta]),
    ...points(g2, [beta]),
    ...points(g2, [1n]), // gamma
    ...points(g1, [1n]), // delta in G1 and G2: equal to gamma until somebody contributes
    ...points(g2, [1n]),
);
section(4, little_endian(coefficients.length / 4, 4), Buffer.concat(coefficients));
hashed_section(3, g1, mixed.slice(0, signals + 1));
const odd = lagrange_above(level + 1).filter((_, index) => index % 2 === 1);
section(9, ...[...g1(odd)].map(([stored]) => stored));
const vanishing = (power_of(tau, BigInt(domain)) - 1n + r) % r;
const differences = new Array(domain - 1); // tau^(domain + i) - tau^i
for (let i = 0, x = vanishing; i < domain - 1; i++, x = (x * tau) % r) differences[i] = x;
hash_size(domain - 1);
points(g1, differences);
hashed_section(8, g1, mixed.slice(signals + 1));
hashed_section(5, g1, u);
hashed_section(6, g1, v);
hashed_section(7, g2, v);
section(10, hash.digest(), little_endian(0, 4)); // contributions: none
fs.writeFileSync(target, Buffer.concat(output));
