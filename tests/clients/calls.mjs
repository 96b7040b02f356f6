// Connects with a TypeScript SDK, lists the tools and calls each; prints what answered.
// Run by tests.clients: node calls.mjs PACKAGE TRANSPORT TARGET CALLS, where TARGET is a URL or a JSON {command, args, env, cwd}.
const [name, transport, target, calls] = process.argv.slice(2);
const first = name === "@modelcontextprotocol/sdk";
const { Client } = await import(first ? `${name}/client/index.js` : name);
let wire;
if (transport === "stdio") {
  const { StdioClientTransport } = await import(first ? `${name}/client/stdio.js` : `${name}/stdio`);
  wire = new StdioClientTransport({ ...JSON.parse(target), stderr: "inherit" });
} else {
  const { StreamableHTTPClientTransport } = await import(first ? `${name}/client/streamableHttp.js` : name);
  wire = new StreamableHTTPClientTransport(new URL(target));
}
const client = new Client({ name: "mlrules-mcp-test", version: "1" });
await client.connect(wire);
const { tools } = await client.listTools();
const answered = [];
for (const [tool, parameters] of Object.entries(JSON.parse(calls))) {
  const result = await client.callTool({ name: tool, arguments: parameters });
  if (!result.isError && result.structuredContent && result.content.length) answered.push(tool);
  else console.error(tool, JSON.stringify(result).slice(0, 500));
}
await client.close();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name).sort(), answered: answered.sort() }));
process.exit(0);
