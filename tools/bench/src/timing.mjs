// How runs in one process are timed side by side: by processor time, so that other work on the machine disturbs them less.

/** Milliseconds that one measurement takes at least. */
const SHORTEST = 20;
/** Milliseconds of running before the first measurement, in which V8 optimizes Wasm. */
const WARM_UP = 150;

/** Rates per run and round, all runs in turn in every round; `count` is what a run does, in millions per second of the result. */
export function measureRates(runs, count, rounds) {
  const repeats = runs.map(warmUp);
  const rates = runs.map(() => []);
  for (let round = 0; round < rounds; round++) {
    runs.forEach((run, index) => {
      const milliseconds = processorTime(run, repeats[index]) / repeats[index];
      rates[index].push(count / milliseconds / 1e3);
    });
  }
  return rates;
}

/** How many times as fast, in the median of rounds. */
export function medianRatio(rates, reference) {
  return median(rates.map((rate, round) => rate / reference[round]));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Milliseconds. */
export function processorTime(run, times) {
  const start = process.cpuUsage();
  for (let i = 0; i < times; i++) run();
  const { user, system } = process.cpuUsage(start);
  return Math.max(user + system, 1) / 1e3;
}

/** Runs until V8 has had time to optimize, and says how many runs make one measurement. */
function warmUp(run) {
  const start = performance.now();
  let runs = 0;
  do {
    run();
    runs++;
  } while (performance.now() - start < WARM_UP);
  const milliseconds = processorTime(run, 1);
  return Math.max(1, Math.ceil(SHORTEST / milliseconds));
}
