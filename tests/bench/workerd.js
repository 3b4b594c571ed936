#!/usr/bin/env node
// Requests per second on workerd, as ratios to a Worker that always says the same: `./dev bench` prints them.
//
// One request after the other on each of a few connections, through `wrangler dev`, which is a large part of what is
// measured: only the ratios of one run mean something. Each round measures everything once, and the median counts.

import { Agent, request } from "node:http";

import { Demo, alice } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";

const CONNECTIONS = 8;
const SECONDS = 2;
const ROUNDS = 5;

const testing = process.env.DEPUTY_WORKER;
const demo = await Demo.start();
const client = await register(demo.at("/register"));
const { access_token: token } = await logIn(demo, client, alice);

const rpc = (method, params) => ({
  method: "POST",
  url: demo.mcp,
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  headers: {
    accept: "application/json, text/event-stream",
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
  },
});
const call = (name) => rpc("tools/call", { name, arguments: {} });
const subjects = [
  { title: "a Worker that always says the same", url: `${testing}/test/constant` },
  { title: "an object with nothing to say", url: `${testing}/test/object` },
  { title: "401 without a token", ...rpc("tools/list"), headers: {}, status: 401 },
  { title: "401 with a forged token", ...rpc("tools/list"), headers: { authorization: "Bearer x" }, status: 401 },
  { title: "tools/list", ...rpc("tools/list") },
  { title: "who_am_i, a tool that calls no API", ...call("who_am_i") },
  { title: "get_my_todo_list, a tool that calls the API", ...call("get_my_todo_list") },
];

try {
  for (const subject of subjects) await rate(subject, 0.5);
  const rates = subjects.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, subject] of subjects.entries()) rates[index].push(await rate(subject, SECONDS));
  }
  const medians = rates.map((values) => values.sort((one, other) => one - other)[Math.floor(ROUNDS / 2)]);
  for (const [index, { title }] of subjects.entries()) {
    const ratio = (medians[index] / medians[0]).toFixed(2);
    console.log(`${title.padEnd(46)} ${medians[index].toFixed(0).padStart(6)} /s  ${ratio}`);
  }
} finally {
  await demo.stop();
}

/** Requests per second of one subject, for some seconds. */
async function rate(subject, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let count = 0;
  const connection = async () => {
    while (performance.now() < end) {
      const status = await send(subject, agent);
      if (status !== (subject.status ?? 200)) throw new Error(`${subject.title}: ${status}`);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, connection));
  agent.destroy();
  return (count * 1000) / (performance.now() - begin);
}

function send({ url, method = "GET", headers = {}, body }, agent) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
