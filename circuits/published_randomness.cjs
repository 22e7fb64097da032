// SPDX-License-Identifier: Apache-2.0
// Loaded before snarkjs (`node --require`): its one source of chance, crypto.randomFillSync, gives
// published bytes. FOR DEVELOPMENT KEYS ONLY: a contribution made with it is the same on every
// machine and hides nothing. Never load it when proving: a proof's blinding would be known.

"use strict";

const crypto = require("node:crypto");

const SEED = "airflow-cwf development key: everybody knows this contribution";
let calls = 0;

crypto.randomFillSync = (array) => {
    const stream = crypto.createHash("shake256", { outputLength: array.byteLength });
    const digest = stream.update(`${SEED}/${calls++}`).digest();
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(digest);
    return array;
};
