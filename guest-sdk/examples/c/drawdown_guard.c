/* Close everything once equity is too far under its highest value. The same rule: examples/dsl/drawdown_guard.rule. */

#include "rulebox.h"

RULEBOX_MANIFEST({
  "abi": 1,
  "name": "drawdown_guard",
  "inputs": [{"name": "equity", "type": "num", "optional": false, "range": [1, 1e15]}],
  "params": [{"name": "limit", "type": "num", "default": 0.1, "range": [0.001, 1]}],
  "outs": [{"name": "drawdown", "type": "num"}],
  "statements": [{
    "verdict": "breach",
    "action": "liquidate",
    "message": [
      {"value": {"column": 0, "name": "drawdown", "type": "num", "format": {"percent": 2}}},
      {"text": " under "},
      {"value": {"column": 1, "name": "peak", "type": "num", "format": {"decimals": 2}}}
    ]
  }],
  "uses_time": false,
  "clock": {"zone": "UTC", "day_start": 0},
  "lookback": 0,
  "state_bytes": 16,
  "memory_bytes": 0,
  "spans": [{"start": 0, "end": 0, "line": 1, "column": 1, "message": "the equity is missing or outside 1..1e15"}]
})

static double params[1];
RULEBOX_COLUMN(double, equity);
RULEBOX_COLUMN(uint8_t, verdicts);
RULEBOX_COLUMN(uint32_t, fired);
RULEBOX_COLUMN(double, drawdowns);
static _Alignas(8) double values[2][RULEBOX_MAX_ROWS];

static struct {
  double peak;
  int64_t faulted;
} state;

void RULEBOX_EXPORT(rulebox_abi_1)(void) {}

void RULEBOX_EXPORT(rulebox_reset)(void) {
  state.peak = 0;
  state.faulted = 0;
}

int32_t RULEBOX_EXPORT(rulebox_init)(int32_t count) {
  if (count != 1 || !(params[0] >= 0.001 && params[0] <= 1)) return -1;
  rulebox_reset();
  return 0;
}

int32_t RULEBOX_EXPORT(rulebox_buffer)(int32_t kind, int32_t index, int32_t bytes) {
  if (kind == RULEBOX_MESSAGE_VALUE && (index == 0 || index == 1)) return RULEBOX_ADDRESS(values[index], bytes);
  if (index != 0) return 0;
  switch (kind) {
    case RULEBOX_PARAMS: return RULEBOX_ADDRESS(params, bytes);
    case RULEBOX_INPUT: return RULEBOX_ADDRESS(equity, bytes);
    case RULEBOX_VERDICTS: return RULEBOX_ADDRESS(verdicts, bytes);
    case RULEBOX_FIRED: return RULEBOX_ADDRESS(fired, bytes);
    case RULEBOX_OUT: return RULEBOX_ADDRESS(drawdowns, bytes);
    default: return 0;
  }
}

int32_t RULEBOX_EXPORT(rulebox_eval)(int32_t rows) {
  if (rows < 1 || rows > RULEBOX_MAX_ROWS) return -1;
  for (int32_t row = 0; row < rows; row++) {
    /* Comparisons with what is missing are false. */
    if (state.faulted || !(equity[row] >= 1 && equity[row] <= 1e15)) {
      state.faulted = 1;
      verdicts[row] = RULEBOX_FAULT;
      fired[row] = 0;
      drawdowns[row] = RULEBOX_MISSING;
      continue;
    }
    if (equity[row] > state.peak) state.peak = equity[row];
    double drawdown = 1 - equity[row] / state.peak;
    int over = rulebox_above(drawdown, params[0]);
    drawdowns[row] = values[0][row] = drawdown;
    values[1][row] = state.peak;
    fired[row] = over ? 1 : 0;
    verdicts[row] = over ? RULEBOX_BREACH : RULEBOX_OK;
  }
  return 0;
}

int64_t RULEBOX_EXPORT(rulebox_state)(void) {
  return RULEBOX_STATE(state);
}
