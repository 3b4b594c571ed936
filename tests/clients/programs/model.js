// A model that calls the tools it was told to call, for agents that need one. It speaks OpenAI's chat completions and
// responses, Anthropic's messages, and Gemini's generateContent, as far as the programs of these tests use them.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** As slow as a fast model: some agents are not connected to their MCP servers before. */
const THINKS = 800;

/** The tool of Claude Code that waits until its servers are connected. */
const WAIT = "WaitForMcpServers";

export class Model {
  #server;
  #tasks = [];
  #ids = 0;

  static async start() {
    const model = new Model();
    model.#server = createServer((request, response) => model.#respond(request, response));
    await new Promise((resolve) => model.#server.listen(0, "127.0.0.1", resolve));
    return model;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /**
   * A task: `calls` are pairs of a tool and its arguments. The agent that sends its `prompt` is told to make these calls, one after
   * the other. `results` are what the tools returned so far, as text.
   */
  task(calls) {
    const task = { calls, results: [], prompt: `Do task ${this.#tasks.length + 1}.` };
    this.#tasks.push(task);
    return task;
  }

  async #respond(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const format = formats.find(({ path }) => path.test(request.url.split("?")[0]));
    if (format === undefined || text === "") {
      const models = { object: "list", data: [{ id: "scripted", object: "model" }] };
      return sendJson(response, request.url.includes("/models") ? 200 : 404, models);
    }
    await sleep(THINKS);
    const body = JSON.parse(text);
    const act = this.#act(format.read(body));
    format.write(response, body, act, () => `id${(this.#ids += 1)}`, request.url);
  }

  /** The next call, or the text that ends the task. */
  #act({ turns, tools }) {
    const last = turns.findLastIndex(({ user }) => /\btask (\d+)\./.test(user ?? ""));
    if (last < 0) return { text: "Nothing to do." };
    const task = this.#tasks[Number(turns[last].user.match(/\btask (\d+)\./)[1]) - 1];
    task.results = turns.slice(last).flatMap(({ result }) => (result === undefined ? [] : [result]));
    const next = task.calls[task.results.length];
    if (next === undefined) return { text: "done" };
    const [name, input] = next;
    const tool = tools.find((tool) => tool.endsWith(name));
    if (tool === undefined && tools.includes(WAIT)) return { tool: WAIT, input: {} };
    return tool === undefined ? { text: `no tool ${name} among ${tools.join(", ")}` } : { tool, input };
  }
}

const formats = [
  {
    // https://platform.openai.com/docs/api-reference/chat
    path: /\/chat\/completions$/,
    read: ({ messages, tools = [] }) => ({
      turns: messages.map(({ role, content }) => turn(role === "tool" ? "result" : role, plain(content))),
      tools: tools.map((tool) => tool.function?.name ?? tool.name),
    }),
    write(response, { model, stream }, { text, tool, input }, id) {
      const call = tool && { index: 0, id: id(), type: "function", function: { name: tool, arguments: JSON.stringify(input) } };
      const message = { role: "assistant", content: text ?? null, ...(call && { tool_calls: [call] }) };
      const finish_reason = call ? "tool_calls" : "stop";
      const head = { id: id(), created: 1, model };
      if (!stream) {
        const choices = [{ index: 0, message, finish_reason }];
        return sendJson(response, 200, { ...head, object: "chat.completion", choices, usage: chatUsage });
      }
      const chunk = (delta, finish_reason) => ({
        ...head,
        object: "chat.completion.chunk",
        choices: [{ index: 0, delta, finish_reason }],
        ...(finish_reason && { usage: chatUsage }),
      });
      sendEvents(response, [chunk(message, null), chunk({}, finish_reason), "[DONE]"]);
    },
  },
  {
    // https://platform.openai.com/docs/api-reference/responses
    path: /\/responses$/,
    read({ input, tools = [] }) {
      const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
      const result = ({ type }) => /_call_output$/.test(type ?? "");
      return {
        turns: items.map((item) => (result(item) ? turn("result", plain(item.output)) : turn(item.role, plain(item.content)))),
        tools: namesOf([...tools, ...items.flatMap((item) => (/tool/.test(item.type ?? "") && item.tools) || [])]),
      };
    },
    write(response, { model, stream }, { text, tool, input }, id) {
      const [namespace, name] = tool?.includes("/") ? tool.split("/") : [undefined, tool];
      const item = tool
        ? { type: "function_call", id: id(), call_id: id(), ...(namespace && { namespace }), name, arguments: JSON.stringify(input), status: "completed" }
        : { type: "message", id: id(), role: "assistant", status: "completed", content: [{ type: "output_text", text, annotations: [] }] };
      const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
      const whole = { id: id(), object: "response", created_at: 1, model, status: "completed", output: [item], usage };
      if (!stream) return sendJson(response, 200, whole);
      sendEvents(response, [
        { type: "response.created", response: { ...whole, status: "in_progress", output: [] } },
        { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress" } },
        { type: "response.output_item.done", output_index: 0, item },
        { type: "response.completed", response: whole },
      ]);
    },
  },
  {
    // https://platform.claude.com/docs/en/api/messages
    path: /\/messages$/,
    read({ messages, tools = [] }) {
      const parts = messages.flatMap(({ role, content }) =>
        (typeof content === "string" ? [{ type: "text", text: content }] : content).map((part) => ({ role, ...part })),
      );
      return {
        turns: parts.map(({ role, type, text, content, tool_use_id }) => {
          if (type !== "tool_result") return turn(role, text ?? "");
          return tool_use_id.startsWith(WAIT) ? {} : turn("result", plain(content));
        }),
        tools: tools.map(({ name }) => name),
      };
    },
    write(response, { model, stream }, { text, tool, input }, id) {
      const block = tool
        ? { type: "tool_use", id: `${tool === WAIT ? WAIT : ""}${id()}`, name: tool, input }
        : { type: "text", text };
      const end = { stop_reason: tool ? "tool_use" : "end_turn", stop_sequence: null };
      const whole = { id: id(), type: "message", role: "assistant", model, content: [block], ...end, usage: messagesUsage };
      if (!stream) return sendJson(response, 200, whole);
      const delta = tool
        ? { type: "input_json_delta", partial_json: JSON.stringify(input) }
        : { type: "text_delta", text };
      sendEvents(response, [
        { type: "message_start", message: { ...whole, content: [], stop_reason: null } },
        { type: "content_block_start", index: 0, content_block: tool ? { ...block, input: {} } : { ...block, text: "" } },
        { type: "content_block_delta", index: 0, delta },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: end, usage: { output_tokens: 1 } },
        { type: "message_stop" },
      ]);
    },
  },
  {
    // https://ai.google.dev/api/generate-content
    path: /:(stream)?generateContent$/i,
    read: ({ contents = [], tools = [] }) => ({
      turns: contents.flatMap(({ role, parts }) =>
        parts.map(({ text, functionResponse }) =>
          functionResponse ? turn("result", plain(functionResponse.response)) : turn(role, text ?? ""),
        ),
      ),
      tools: tools.flatMap(({ functionDeclarations = [] }) => functionDeclarations.map(({ name }) => name)),
    }),
    write(response, _, { text, tool, input }, id, url) {
      const part = tool ? { functionCall: { name: tool, args: input, id: id() } } : { text };
      const candidates = [{ index: 0, content: { role: "model", parts: [part] }, finishReason: "STOP" }];
      const whole = { candidates, usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } };
      if (url.includes(":stream")) sendEvents(response, [whole]);
      else sendJson(response, 200, whole);
    },
  },
];

const messagesUsage = { input_tokens: 1, output_tokens: 1 };
const chatUsage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

/** A turn of the conversation: what the user wrote, or what a tool returned. */
function turn(role, text) {
  if (role === "user") return { user: text };
  return role === "result" ? { result: text } : {};
}

/** The text of a content, whatever its shape. */
function plain(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => plain(part?.text ?? part)).join("\n");
  return JSON.stringify(content ?? "");
}

/** The names of tools. Those in a namespace have its name and a slash before them. */
function namesOf(tools) {
  return tools.flatMap(({ type, name, tools }) =>
    type === "namespace" ? tools.map((tool) => `${name}/${tool.name}`) : [name ?? type],
  );
}

function sendJson(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function sendEvents(response, events) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) {
    if (event.type) response.write(`event: ${event.type}\n`);
    response.write(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`);
  }
  response.end();
}
