/**
 * The ends of a channel as Node streams and Web streams. Back pressure is the channel's own: a stream
 * takes what the ring has room for, and reads no more than its consumer wants.
 */
import { Readable, Writable } from 'node:stream';

/** What a stream needs of a sender. */
interface Sink<T> {
  readonly closed: boolean;
  write(value: T): Promise<void> | undefined;
  flush(): void;
  end(): void;
  close(): void;
}

/** What a stream needs of a receiver. */
interface Source {
  readonly closed: boolean;
  whenReadable(): Promise<boolean>;
  close(): void;
}

/** A Node stream that writes into a channel. */
export function writable<T>(sink: Sink<T>, objectMode: boolean): Writable {
  return new Writable({
    objectMode,
    decodeStrings: true,
    write: (chunk: T, _encoding, done) => {
      settle(() => sink.write(chunk), done);
    },
    final: (done) => settle(() => sink.end(), done),
    destroy: (error, done) => {
      settle(
        () => sink.close(),
        (failure) => done(error ?? failure ?? null),
      );
    },
  });
}

/** Calls `done` when what `act` does is done. */
function settle(act: () => Promise<void> | undefined | void, done: (error?: Error) => void): void {
  try {
    const wait = act();
    if (wait === undefined) return done();
    wait.then(
      () => done(),
      (error: unknown) => done(error as Error),
    );
  } catch (error) {
    done(error as Error);
  }
}

/** A Web stream that writes into a channel. */
export function webWritable<T>(sink: Sink<T>): WritableStream<T> {
  return new WritableStream<T>(
    {
      write: (chunk) => sink.write(chunk),
      close: () => sink.end(),
      abort: () => sink.close(),
    },
    { highWaterMark: 1 },
  );
}

/**
 * A Node stream of what a channel receives.
 *
 * @param next - Takes the next piece out of the channel; undefined if nothing is there.
 */
export function readable(source: Source, next: () => unknown, objectMode = false): Readable {
  let isWanted = false;
  let isFilling = false;
  const stream: Readable = new Readable({
    objectMode,
    read: () => {
      isWanted = true;
      if (!isFilling) void fill();
    },
    destroy: (error, done) => {
      settle(
        () => source.close(),
        (failure) => done(error ?? failure ?? null),
      );
    },
  });
  async function fill(): Promise<void> {
    isFilling = true;
    try {
      while (isWanted && !stream.destroyed) {
        const piece = next();
        if (piece !== undefined) {
          // Pushing may ask for more before it returns.
          isWanted = false;
          if (stream.push(piece)) isWanted = true;
        } else if (!(await source.whenReadable())) {
          isWanted = false;
          if (!stream.destroyed) stream.push(null);
        }
      }
    } catch (error) {
      stream.destroy(error as Error);
    } finally {
      isFilling = false;
    }
  }
  return stream;
}

/** A Web stream of what a channel receives. */
export function webReadable<T>(source: Source, next: () => T | undefined): ReadableStream<T> {
  return new ReadableStream<T>(
    {
      pull: async (controller) => {
        for (;;) {
          const piece = next();
          if (piece !== undefined) return controller.enqueue(piece);
          if (!(await source.whenReadable())) {
            controller.close();
            source.close();
            return;
          }
        }
      },
      cancel: () => source.close(),
    },
    { highWaterMark: 0 },
  );
}
