// The programs, each with its way to configure a server, to log in, and to call tools.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const modules = fileURLToPath(new URL("node_modules/", import.meta.url));

/**
 * Each program has a name, that of the package that ships it, and three functions. `configure(place)` names the server to it.
 * `logIn(place)` makes it open a browser. `call(place, calls)` makes it call tools, and returns their results as text.
 * `keepsExpiry` is false if a new process logs in again, because it does not know that its access token has expired.
 * `keepsScopes` is true if it asks for the scopes of its last login until `logIn`.
 * `isAlone` is true if no copy of it uses its login at the same time.
 * `shows` matches its own words about a missing scope, if it shows nothing of what the server says about that.
 *
 * A place has the `url` of the server, a folder `home`, the variables `env`, and a `model`.
 */
export const programs = [
  {
    name: "mcp-remote",
    configure: async () => {},
    logIn: (place) => remote(place, []),
    call: remote,
  },
  {
    name: "mcporter",
    configure: (place) => run(place, "mcporter", ["config", "add", "todos", place.url]),
    logIn: (place) => run(place, "mcporter", ["auth", "todos"]),
    async call(place, calls) {
      const results = [];
      for (const [tool, input] of calls) {
        const call = ["call", `todos.${tool}`, "--args", JSON.stringify(input), "--output", "json"];
        results.push(await run(place, "mcporter", call));
      }
      return results;
    },
  },
  {
    name: "@openai/codex",
    shows: /Insufficient scope/,
    configure: (place) =>
      write(place, ".codex/config.toml", [
        'model = "scripted"',
        'model_provider = "local"',
        'approval_policy = "never"',
        'sandbox_mode = "danger-full-access"',
        "[model_providers.local]",
        'name = "local"',
        `base_url = "${place.model.url}/v1"`,
        'wire_api = "responses"',
        "[mcp_servers.todos]",
        `url = "${place.url}"`,
      ]),
    logIn: (place) => run(place, "codex", ["mcp", "login", "todos"]),
    call: (place, calls) => agent(place, calls, "codex", (prompt) => ["exec", "--skip-git-repo-check", prompt]),
  },
  {
    name: "opencode-ai",
    shows: /403 after trying upscoping/,
    configure: (place) =>
      write(place, "opencode.json", {
        autoupdate: false,
        share: "disabled",
        model: "local/scripted",
        small_model: "local/scripted",
        provider: {
          local: {
            npm: "@ai-sdk/openai-compatible",
            name: "local",
            options: { baseURL: `${place.model.url}/v1`, apiKey: "none" },
            models: { scripted: { name: "scripted", tool_call: true } },
          },
        },
        mcp: { todos: { type: "remote", url: place.url } },
      }),
    logIn: (place) => terminal(place, "opencode mcp auth todos"),
    call: (place, calls) => agent(place, calls, "opencode", (prompt) => ["run", prompt]),
  },
  {
    name: "@google/gemini-cli",
    // It refreshes an access token that is valid for some minutes yet: here, before each request. For a copy, that would be a replay.
    isAlone: true,
    shows: /connect this server again in the application/,
    configure: (place) =>
      write(place, ".gemini/settings.json", {
        security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
        privacy: { usageStatisticsEnabled: false },
        general: { enableAutoUpdate: false },
        mcpServers: { todos: { type: "http", url: place.url } },
      }),
    logIn: (place) =>
      terminal(withGemini(place), "gemini -m gemini-2.5-flash", [
        ["Tips for getting started", "/mcp auth todos"],
        ["Do you want to continue?", ""],
      ]),
    call: (place, calls) =>
      agent(withGemini(place), calls, "gemini", (prompt) => ["-m", "gemini-2.5-flash", "--approval-mode", "yolo", "-p", prompt]),
  },
  {
    name: "@qwen-code/qwen-code",
    // It refreshes an access token that is valid for some minutes yet: here, before each request. For a copy, that would be a replay.
    isAlone: true,
    shows: /may have completed/,
    configure: (place) =>
      write(place, ".qwen/settings.json", {
        security: { auth: { selectedType: "openai" }, folderTrust: { enabled: false } },
        privacy: { usageStatisticsEnabled: false },
        general: { disableAutoUpdate: true },
        mcpServers: { todos: { httpUrl: place.url } },
      }),
    logIn: (place) =>
      terminal(withQwen(place), "qwen", [
        ["Tips", "/mcp"],
        ["todos", ""],
        ["Reconnect", ["Down", "Down"]],
      ]),
    call(place, calls) {
      // It keeps the tools of servers behind a tool of its own.
      const behind = calls.map(([tool, input]) => ["tool_call", { name: `mcp__todos__${tool}`, arguments: input }]);
      return agent(withQwen(place), behind, "qwen", (prompt) => ["--approval-mode", "yolo", "-p", prompt]);
    },
  },
  {
    name: "@github/copilot",
    // It refuses a copy of its folder.
    isAlone: true,
    shows: /Re-authentication required/,
    configure: (place) => run(place, "copilot", ["mcp", "add", "--transport", "http", "todos", place.url]),
    // It logs in by itself the first time.
    logIn: (place) =>
      terminal(withCopilot(place), "copilot --allow-all-tools", [
        ["trust the files", "Down"],
        ["requires authentication", "/mcp auth todos"],
      ]),
    call: (place, calls) => agent(withCopilot(place), calls, "copilot", copilotFlags),
  },
  {
    name: "@anthropic-ai/claude-code",
    // It refreshes an access token that is valid for some minutes yet: here, before each request. For a copy, that would be a replay.
    isAlone: true,
    shows: /needs additional permissions/,
    configure: (place) => run(place, "claude", ["mcp", "add", "--transport", "http", "todos", place.url]),
    logIn: (place) => terminal(withClaude(place), "claude mcp login todos"),
    call: (place, calls) =>
      agent(withClaude(place), calls, "claude", (prompt) => ["-p", "--allowedTools", "mcp__todos", "--", prompt]),
  },
  {
    name: "@modelcontextprotocol/inspector",
    shows: /auth\(\) returned AUTHORIZED/,
    keepsScopes: true,
    configure: async () => {},
    logIn: (place) => inspect(place, ["--relogin", "--method", "tools/list"]),
    async call(place, calls) {
      const results = [];
      for (const [tool, input] of calls) {
        const pairs = Object.entries(input).flatMap(([name, value]) => ["--tool-arg", `${name}=${value}`]);
        results.push(await inspect(place, ["--method", "tools/call", "--tool-name", tool, ...pairs]));
      }
      return results;
    },
  },
  // Its store names its files by their whole paths.
  library("fastmcp", { name: "fastmcp", isAlone: true }),
  library("sdk1", { name: "python-sdk-1", distribution: "mcp", keepsExpiry: false }),
];

/** A Python library, used by the script in python/ with this name. */
function library(script, { name, distribution = name, ...rest }) {
  const call = async (place, calls) => {
    const env = { ...place.env, CALLBACK_PORT: "33419" };
    const folder = fileURLToPath(new URL("python/", import.meta.url));
    const python = process.env[`python_${script}`];
    const output = await execute({ ...place, env }, python, [join(folder, `${script}.py`), place.url, JSON.stringify(calls)]);
    return JSON.parse(output.split("\n").findLast((line) => line.startsWith("[")));
  };
  const requirements = readFileSync(new URL(`python/${script}.txt`, import.meta.url), "utf8");
  const version = requirements.match(new RegExp(`^${distribution}==(.*)$`, "m"))[1];
  // It logs in when it connects.
  return { name, version, ...rest, configure: async () => {}, logIn: (place) => call(place, []), call };
}

/** The version of a program. */
export function versionOf({ name, version }) {
  return version ?? JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;
}

const withGemini = (place) => ({
  ...place,
  env: { ...place.env, GEMINI_API_KEY: "none", GOOGLE_GEMINI_BASE_URL: place.model.url },
});

const withQwen = (place) => ({
  ...place,
  env: { ...place.env, OPENAI_API_KEY: "none", OPENAI_BASE_URL: `${place.model.url}/v1`, OPENAI_MODEL: "scripted" },
});

const withCopilot = (place) => ({
  ...place,
  env: {
    ...place.env,
    COPILOT_OFFLINE: "true",
    COPILOT_PROVIDER_BASE_URL: `${place.model.url}/v1`,
    COPILOT_MODEL: "scripted",
  },
});

const withClaude = (place) => ({
  ...place,
  env: {
    ...place.env,
    ANTHROPIC_API_KEY: "sk-ant-none-00000000000000000000",
    ANTHROPIC_BASE_URL: place.model.url,
    ENABLE_TOOL_SEARCH: "false",
  },
});

const copilotFlags = (prompt) => ["--allow-all-tools", "-p", prompt];

/** Runs the command line of MCP Inspector, which keeps its tokens in a file. */
function inspect(place, flags) {
  const env = { ...place.env, MCP_AUTO_OPEN_ENABLED: "true", MCP_INSPECTOR_SECRET_STORE: "file" };
  return run({ ...place, env }, "mcp-inspector", ["--cli", place.url, "--transport", "http", ...flags]);
}

/** Makes an agent call tools, and returns what they returned. */
async function agent(place, calls, program, flags) {
  const task = place.model.task(calls);
  const output = await run(place, program, flags(task.prompt));
  if (task.results.length < calls.length) throw new Error(`${program} made not every call:\n${output}`);
  return task.results;
}

/** Calls tools through mcp-remote, which is an MCP server on its standard streams. */
async function remote(place, calls) {
  const client = new Client({ name: "host", version: "1.0.0" });
  const { home: cwd, env } = place;
  const command = { command: bin("mcp-remote"), args: [place.url], cwd, env, stderr: "ignore" };
  await client.connect(new StdioClientTransport(command), { timeout: PATIENCE });
  try {
    const results = [];
    for (const [name, input] of calls) results.push(JSON.stringify(await client.callTool({ name, arguments: input })));
    return results;
  } finally {
    await client.close();
  }
}

/** Runs a program to its end, and returns what it printed. */
const run = (place, program, args) => execute(place, bin(program), args);

function execute({ home, env }, command, args) {
  const options = { cwd: home, env, timeout: PATIENCE, maxBuffer: 1 << 26 };
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, options, (error, stdout) => {
      if (error) reject(new Error(`${error.message}\n${stdout}`));
      else resolve(stdout);
    });
    child.stdin.end();
  });
}

/**
 * Runs a command on a terminal until the user has logged in. `replies` are pairs of a text on the screen and the line or keys
 * that it is answered with, once.
 */
async function terminal({ home, env, person }, command, replies = []) {
  const [program, ...rest] = command.split(" ");
  const logins = person.logins.length + 1;
  const tmux = (...args) => promisify(execFile)("tmux", ["-S", join(home, "terminal"), ...args], { cwd: home, env });
  await tmux("new-session", "-d", "-x", "150", "-y", "50", [bin(program), ...rest].join(" "));
  let screen = "";
  try {
    let [open, quiet] = [new Map(replies), 0];
    for (const end = Date.now() + PATIENCE; person.logins.length < logins; await sleep(1000)) {
      if (Date.now() > end) throw new Error(`${command} opened no browser`);
      // A slow program may have lost a line that it was not ready for.
      if ((quiet += 1) > 30) [open, quiet] = [new Map(replies), 0];
      ({ stdout: screen } = await tmux("capture-pane", "-p"));
      const text = [...open.keys()].find((text) => screen.includes(text));
      if (text === undefined) continue;
      quiet = 0;
      // A program that has just shown a text may not read keys yet.
      await sleep(2000);
      await tmux("send-keys", ...[open.get(text)].flat());
      // An Enter that follows at once would be a part of pasted text.
      await sleep(1000);
      await tmux("send-keys", "Enter");
      open.delete(text);
    }
    // The program stores its tokens after the page is shown.
    await sleep(5000);
  } catch (error) {
    throw new Error(`${error.message}\n${screen}`);
  } finally {
    // A program that has a child of its own survives the end of its terminal.
    await tmux("send-keys", "C-c", "C-c").catch(() => {});
    await sleep(2000);
    await tmux("kill-server").catch(() => {});
  }
}

async function write({ home }, path, content) {
  const file = join(home, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, Array.isArray(content) ? content.join("\n") : JSON.stringify(content));
}

const bin = (program) => join(modules, ".bin", program);

/** Milliseconds that a program may take. */
const PATIENCE = 120_000;
