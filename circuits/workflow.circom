// SPDX-License-Identifier: Apache-2.0
pragma circom 2.1.6;

include "poseidon.circom";

// in < 2^bits if active = 1, in = 0 if active = 0. For bits <= 253 the bits determine `in` and cannot
// stand for in + r. One product does both: a linear constraint would be substituted by the compiler,
// and all the bits would then stand wherever `in` stands.
template InRange(bits) {
    signal input active; // 0 or 1, constrained by the caller
    signal input in;
    signal bit[bits];
    var sum = 0;
    for (var i = 0; i < bits; i++) {
        bit[i] <-- (in >> i) & 1;
        bit[i] * (bit[i] - 1) === 0;
        sum += bit[i] * (1 << i);
    }
    active * sum === in;
}

// out = 1 if in = 0, else 0: the first constraint defines out, the second keeps it 0 for in != 0.
template IsZero() {
    signal input in;
    signal output out;
    signal inverse <-- in != 0 ? 1 / in : 0;
    out <== 1 - in * inverse;
    in * out === 0;
}

// One agent's row. An active row's leaf is its commitment P_9; a padding row is all 0, its leaf too.
template Row() {
    signal input active;
    signal input agent_hi;   // halves of H(agent_id), 128 bits each
    signal input agent_lo;
    signal input tx_hi;      // halves of H(tx_hash); 0, 0 without a transaction
    signal input tx_lo;
    signal input fee;        // 10^-9 of the native coin, 64 bits (documents allow 52)
    signal input time_us;    // microseconds, 64 bits (documents allow 52)
    signal input err;        // 0: no error; else H(error) >> 8, 248 bits
    signal input salt;       // 128 bits
    signal output success;   // 1 if active and err = 0
    signal output leaf;

    active * (active - 1) === 0;

    var fields[8] = [agent_hi, agent_lo, tx_hi, tx_lo, fee, time_us, err, salt];
    var widths[8] = [128, 128, 128, 128, 64, 64, 248, 128];
    component range[8];
    for (var i = 0; i < 8; i++) {
        range[i] = InRange(widths[i]);
        range[i].active <== active;
        range[i].in <== fields[i];
    }

    component clean = IsZero();
    clean.in <== err;
    success <== active * clean.out;

    component hash = Poseidon(9);
    hash.inputs <== [agent_hi, agent_lo, tx_hi, tx_lo, fee, time_us, err, success, salt];
    leaf <== active * hash.out;
}

// Root of the binary P_2 tree over 2^depth leaves.
template Tree(depth) {
    var size = 1 << depth;
    signal input leaves[size];
    signal output root;

    component node[size - 1];
    var level[size];
    for (var i = 0; i < size; i++) { level[i] = leaves[i]; }
    var used = 0;
    for (var width = size \ 2; width >= 1; width = width \ 2) {
        for (var i = 0; i < width; i++) {
            node[used] = Poseidon(2);
            node[used].inputs <== [level[2 * i], level[2 * i + 1]];
            level[i] = node[used].out;
            used++;
        }
    }
    root <== level[0];
}

// The statement of docs/evidence.md about one chunk of up to 2^depth agents. What it shows: the
// prover knew the rows behind outputs_root; n_success of n_agents have no error; fees and times add
// up. `binding` enters no computation: as a public signal it ties the proof to one core.
template Workflow(depth) {
    var size = 1 << depth;
    signal input workflow_id_hi;
    signal input workflow_id_lo;
    signal input chain_id;
    signal input binding;
    signal input active[size];
    signal input agent_hi[size];
    signal input agent_lo[size];
    signal input tx_hi[size];
    signal input tx_lo[size];
    signal input fee[size];
    signal input time_us[size];
    signal input err[size];
    signal input salt[size];
    signal output outputs_root;
    signal output n_agents;
    signal output n_success;
    signal output total_gas;
    signal output total_time_us;

    component range[4];
    var context[4] = [workflow_id_hi, workflow_id_lo, chain_id, binding];
    var widths[4] = [128, 128, 53, 248];
    for (var i = 0; i < 4; i++) {
        range[i] = InRange(widths[i]);
        range[i].active <== 1;
        range[i].in <== context[i];
    }

    // Active rows form a prefix that is not empty.
    active[0] === 1;
    for (var i = 1; i < size; i++) { active[i] * (1 - active[i - 1]) === 0; }

    component row[size];
    component tree = Tree(depth);
    var agents = 0;
    var successes = 0;
    var fees = 0;
    var times = 0;
    for (var i = 0; i < size; i++) {
        row[i] = Row();
        row[i].active <== active[i];
        row[i].agent_hi <== agent_hi[i];
        row[i].agent_lo <== agent_lo[i];
        row[i].tx_hi <== tx_hi[i];
        row[i].tx_lo <== tx_lo[i];
        row[i].fee <== fee[i];
        row[i].time_us <== time_us[i];
        row[i].err <== err[i];
        row[i].salt <== salt[i];
        tree.leaves[i] <== row[i].leaf;
        agents += active[i];
        successes += row[i].success;
        fees += fee[i];
        times += time_us[i];
    }
    n_agents <== agents;
    n_success <== successes;
    total_gas <== fees;
    total_time_us <== times;

    component root = Poseidon(5);
    root.inputs <== [tree.root, workflow_id_hi, workflow_id_lo, chain_id, n_agents];
    outputs_root <== root.out;
}
