// SPDX-License-Identifier: Apache-2.0
// A client of somebody else's making, the one from npm: every tool, progress, cancelling.
// Usage: node sdk.mjs NODE_MODULES GPUALLOC
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const [modules, gpualloc] = process.argv.slice(2);
const part = path => import(pathToFileURL(`${modules}/@modelcontextprotocol/sdk/dist/esm/client/${path}`));
const { Client } = await part('index.js');
const { StdioClientTransport } = await part('stdio.js');

const client = new Client({ name: 'sdk', version: '1' });
const troubles = [];
client.onerror = error => troubles.push(error.message);
await client.connect(new StdioClientTransport({
  command: gpualloc, args: ['mcp', '--machine', 'dgx1-volta'], env: process.env }));
assert.equal(client.getServerVersion().name, 'gpualloc');
assert.ok(client.getInstructions().includes('shared'));
await client.ping();

const { tools } = await client.listTools();
const called = new Set();
async function call(name, args = {}, options = {}) {
  called.add(name);
  return client.callTool({ name, arguments: args }, undefined, options);
}
async function good(name, args) {
  const result = await call(name, args);
  assert.ok(!result.isError, JSON.stringify(result));
  return result.structuredContent;
}

assert.equal((await good('list_gpus')).devices.length, 8);
assert.equal((await good('explain', { count: 2 })).devices.length, 2);
const { lease, until } = await good('lease', { count: 1, for: '5m', note: 'sdk' });
assert.ok((await good('extend', { lease, for: '1m' })).until > until);
const { job } = await good('run', { command: ['echo', 'a b'], note: 'sdk', lease });
for (;;) {
  const { jobs } = await good('job_status', { job });
  if (jobs[0].state === 'done')
    break;
  assert.equal(jobs[0].state, 'running');
}
assert.equal((await good('job_log', { job, cursor: 0 })).text, 'a b\n');
assert.equal((await good('job_cancel', { job })).state, 'done');
assert.ok((await good('release', { lease })).released);
assert.ok((await good('usage')).rows);
assert.deepEqual([...called].sort(), tools.map(tool => tool.name).sort());

assert.ok((await call('lease', { count: 99, for: '5m', note: 'sdk' })).isError);
assert.ok((await call('lease', { count: 1 })).isError);
await assert.rejects(client.callTool({ name: 'rm', arguments: {} }));
await good('lease', { count: 8, for: '5m', note: 'sdk' });
const abort = new AbortController();
let told = 0;
await assert.rejects(call('lease', { for: '5m', note: 'sdk', wait: '10m' }, {
  signal: abort.signal,
  onprogress: progress => {
    told++;
    assert.ok(progress.message.includes('waiting'));
    abort.abort();
  } }));
assert.ok(told > 0);
assert.equal((await good('list_gpus', { free: true })).devices.length, 0);
await client.close();
assert.deepEqual(troubles, []);
console.log('every tool was called');
