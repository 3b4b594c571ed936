/** Writes a data point. The runtime sends it after the response. */
export function write_point(dataset, kind, name, outcome, seconds) {
  try {
    dataset.writeDataPoint({ indexes: [kind], blobs: [kind, name, outcome], doubles: [seconds] });
  } catch ({ message: error }) {
    console.error(JSON.stringify({ level: "error", message: "a data point could not be written", error }));
  }
}
