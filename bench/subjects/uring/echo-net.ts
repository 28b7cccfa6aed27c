/** An echo server on `node:net`. */

import net, { type AddressInfo } from 'node:net';
import { REQUEST_BYTES, reportServed, startLoad } from '../support/echo.ts';
import { Meter } from '../support/meter.ts';

const meter = new Meter(1_024);
let stopLoad = (): void => {};

const server = net.createServer((socket) => {
  socket.on('data', (chunk) => {
    socket.write(chunk);
    if (!meter.tick(chunk.length / REQUEST_BYTES)) reportServed(meter, stopLoad);
  });
  socket.on('error', (error) => {
    throw error;
  });
  socket.on('end', () => {
    throw new Error('a connection ended');
  });
});

server.listen(0, '127.0.0.1', () => {
  stopLoad = startLoad((server.address() as AddressInfo).port);
});
