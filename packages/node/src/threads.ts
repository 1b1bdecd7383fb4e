// The workers: each answers one request at a time, and one that does not answer in time is ended.

import { MessageChannel, Worker } from 'node:worker_threads';

import type { Answer, Call, Start } from './messages.js';

/** Answers what the component calls while it works on a job. */
export type Answerer = (call: Call) => Promise<Answer>;

/** Why there is no answer. */
export class TimedOut extends Error {
  /** `pending`: the import that the component was waiting for. */
  constructor(readonly pending: string | undefined) {
    super(pending === undefined ? 'the request took too long' : `${pending} has not answered in time`);
  }
}

/** How a job ended that has no result. */
export interface Trap {
  trap: string;
}

interface Thread<Done> {
  worker: Worker;
  /** Who is told how the thread's job went. */
  end: ((done: Done) => void) | undefined;
  answer: Answerer | undefined;
  pending: string | undefined;
}

/** A fixed number of threads, which run jobs of one kind. */
export class Threads<Job, Done extends object> {
  readonly #most: number;
  readonly #script: URL;
  readonly #modules: Promise<Start['modules']>;
  readonly #idle: Array<Thread<Done | Trap>> = [];
  readonly #waiting: Array<() => void> = [];
  #busy = 0;
  #closed = false;

  /** At most so many; each runs this script of the package, with these core modules. */
  constructor(most: number, script: string, modules: Promise<Start['modules']>) {
    this.#most = most;
    this.#script = new URL(script, import.meta.url);
    this.#modules = modules;
    // Whoever sends the first request is told.
    modules.catch(() => {});
  }

  /** Runs a job on a thread until a moment of `performance.now()`. Throws {@link TimedOut}. */
  async run(job: Job, deadline: number, answer: Answerer): Promise<Done | Trap> {
    await this.#turn(deadline);
    let thread: Thread<Done | Trap> | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const taken = (thread = this.#idle.pop() ?? start<Done | Trap>(this.#script, await this.#modules));
      const done = await new Promise<Done | Trap>((resolve, reject) => {
        timer = setTimeout(() => reject(new TimedOut(taken.pending)), deadline - performance.now());
        taken.end = resolve;
        taken.answer = answer;
        taken.worker.postMessage(job);
      });
      taken.end = taken.answer = taken.pending = undefined;
      if ('trap' in done || this.#closed) void taken.worker.terminate();
      else this.#idle.push(taken);
      return done;
    } catch (error) {
      if (thread !== undefined) {
        thread.end = thread.answer = undefined;
        void thread.worker.terminate();
      }
      throw error;
    } finally {
      clearTimeout(timer);
      this.#pass();
    }
  }

  /** Ends the threads; requests that are under way are finished. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#idle.splice(0).map((thread) => thread.worker.terminate()));
  }

  /** Waits for one of the threads, first come, first served. */
  async #turn(deadline: number): Promise<void> {
    if (this.#busy < this.#most) {
      this.#busy += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const next = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(next), 1);
        reject(new TimedOut(undefined));
      }, deadline - performance.now());
      this.#waiting.push(next);
    });
  }

  /** Gives the turn to whoever waits longest. */
  #pass(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#busy -= 1;
  }
}

function start<Done>(script: URL, modules: Start['modules']): Thread<Done | Trap> {
  const { port1, port2 } = new MessageChannel();
  const signal = new SharedArrayBuffer(4);
  const answered = new Int32Array(signal);
  const workerData: Start = { modules, port: port2, signal };
  const worker = new Worker(script, { workerData, transferList: [port2], name: 'scimwell' });
  const thread: Thread<Done | Trap> = { worker, end: undefined, answer: undefined, pending: undefined };
  worker.on('message', (done: Done | Trap) => thread.end?.(done));
  worker.on('error', (error: Error) => thread.end?.({ trap: error.stack ?? error.message }));
  worker.on('exit', (code) => thread.end?.({ trap: `the thread ended with code ${code}` }));
  port1.on('message', async (call: Call) => {
    thread.pending = call.name;
    const answer: Answer = (await thread.answer?.(call)) ?? { failed: 'the request is over' };
    thread.pending = undefined;
    port1.postMessage(answer);
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  });
  // Neither keeps the application from ending: whoever waits for an answer has a timer.
  worker.unref();
  port1.unref();
  return thread;
}
