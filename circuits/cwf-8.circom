// SPDX-License-Identifier: Apache-2.0
pragma circom 2.1.6;

include "workflow.circom";

// Public signals, in order: outputs_root, n_agents, n_success, total_gas, total_time_us,
// workflow_id_hi, workflow_id_lo, chain_id, binding. The first five are outputs.
component main {public [workflow_id_hi, workflow_id_lo, chain_id, binding]} = Workflow(3);
