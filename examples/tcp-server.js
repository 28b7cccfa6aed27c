/**
 * A TCP server on io_uring: answers HTTP requests for / with a greeting.
 *
 *     node examples/tcp-server.js [--port PORT] [--debug]
 *
 * In a clone, run `npm run build` once before. Try it by `curl http://127.0.0.1:9999/`; end it by
 * Ctrl-C. Several of them can share a port.
 */
import { parseArgs } from 'node:util';
import { alloc } from 'annulus';
import { Proactor } from 'annulus/proactor';
import { SHUT } from 'annulus/uring';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9999' },
    debug: { type: 'boolean', default: false },
  },
});

/** Longest head of a request, in bytes. */
const HEAD_BYTES_MAX = 8192;

const io = new Proactor({ onEnterError: (error) => console.error('enter:', error.message) });
const listener = io.openListener({
  address: '127.0.0.1',
  port: Number(values.port),
  socketOptions: { reusePort: true, noDelay: true },
  onError: (error) => console.error('accept:', error.message),
});

/**
 * @param {string} status
 * @param {string} body
 */
function answer(status, body) {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/**
 * The answer to the head of one request.
 *
 * @param {string} head
 */
function answerTo(head) {
  const [method, path] = head.split(' ', 2);
  if (method !== 'GET') return answer('405 Method Not Allowed', '');
  return path === '/' ? answer('200 OK', 'hello io_uring!\n') : answer('404 Not Found', '');
}

/**
 * @param {number} connection
 * @param {string} text
 */
async function sendAll(connection, text) {
  const bytes = Buffer.from(text, 'latin1');
  for (let sent = 0; sent < bytes.length;) {
    sent += await io.send(connection, bytes, { offset: sent });
  }
}

/**
 * Answers the requests of a connection until it ends.
 *
 * @param {number} connection
 */
async function serve(connection) {
  const memory = alloc(HEAD_BYTES_MAX);
  let pending = '';
  try {
    while (pending.length <= HEAD_BYTES_MAX) {
      const count = await io.recv(connection, memory);
      if (count === 0) return;
      const heads = (pending + Buffer.from(memory.subarray(0, count)).toString('latin1')).split(
        '\r\n\r\n',
      );
      pending = heads.pop() ?? '';
      if (heads.length > 0) await sendAll(connection, heads.map(answerTo).join(''));
    }
  } catch (error) {
    if (values.debug) console.error('connection:', error);
  } finally {
    await io.closeFd(connection);
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void listener.close());
console.log('listening on', listener.address);
/** Connections that are served, and when they will have been. */
const open = new Map();
for await (const connection of listener) {
  const served = serve(connection).finally(() => open.delete(connection));
  open.set(connection, served);
}
// The listener is closed: connections that wait for a request get the end of input instead.
for (const connection of open.keys()) void io.shutdown(connection, SHUT.RDWR).catch(() => {});
await Promise.all(open.values());
if (values.debug) console.log(io.stats);
await io.close();
