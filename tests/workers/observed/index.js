// The deployed Worker, whose audit events and data points can be read. `GET /audited` returns the messages that the queue has
// delivered, `GET /points` the data points, and `POST /queue-fails` lets the next message fail.

import Deputy from "../../../hosts/cloudflare/worker/build/index.js";

export { GrantIndexObject, RecordObject } from "../../../hosts/cloudflare/worker/build/index.js";

const audited = [];
const points = [];
let queueFails = false;

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/audited") return Response.json(audited);
    if (pathname === "/points") return Response.json(points);
    if (pathname === "/queue-fails") {
      queueFails = true;
      return new Response();
    }
    return Deputy.fetch(request, observed(env), context);
  },

  queue({ messages }) {
    audited.push(...messages.map(({ body }) => body));
  },
};

function observed(env) {
  const send = async (message) => {
    if (!queueFails) return env.AUDIT_QUEUE.send(message);
    queueFails = false;
    throw new Error("the queue is gone");
  };
  const writeDataPoint = (point) => {
    points.push(point);
    env.METRICS.writeDataPoint(point);
  };
  return { ...env, AUDIT_QUEUE: { send }, METRICS: { writeDataPoint } };
}
