// SPDX-License-Identifier: Apache-2.0
pragma circom 2.1.6;

include "poseidon_constants.circom";

// x^5, the S-box: 5 is the smallest exponent that has an inverse modulo r - 1.
template FifthPower() {
    signal input in;
    signal output out;
    signal square <== in * in;
    signal fourth <== square * square;
    out <== fourth * in;
}

// Poseidon with n inputs, written from the paper (eprint 2019/458, section 2.3 and figure 2): the
// state is (0, inputs...); each round adds constants, applies the S-box to all elements (full) or to
// the first (partial), and multiplies by the matrix; the result is the first element.
//
// Everything but the S-boxes is linear and stays in `state` as an expression, so that only the
// S-boxes cost constraints: 3 * (8 * (n + 1) + partial rounds).
template Poseidon(n) {
    signal input inputs[n];
    signal output out;

    var width = n + 1;
    var partial = poseidon_partial_rounds(width);
    var rounds = 8 + partial;
    var constants[rounds * width] = poseidon_constants(width);
    var matrix[width * width] = poseidon_matrix(width);

    component box[8 * width + partial];
    var used = 0;

    var state[width];
    state[0] = 0;
    for (var i = 0; i < n; i++) { state[i + 1] = inputs[i]; }

    for (var round = 0; round < rounds; round++) {
        var boxes = width;
        if (round >= 4 && round < 4 + partial) { boxes = 1; }
        for (var i = 0; i < width; i++) { state[i] = state[i] + constants[round * width + i]; }
        for (var i = 0; i < boxes; i++) {
            box[used] = FifthPower();
            box[used].in <== state[i];
            state[i] = box[used].out;
            used++;
        }
        var mixed[width];
        for (var i = 0; i < width; i++) {
            mixed[i] = 0;
            for (var j = 0; j < width; j++) { mixed[i] = mixed[i] + matrix[i * width + j] * state[j]; }
        }
        state = mixed;
    }
    out <== state[0];
}
