/** A loopback proxy that cuts connections on demand, so that answers get lost at chosen moments. */
import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';

/** What to wait for in what a client sends, and what to do then. */
export interface Cut {
  /** Whole words (such as `COMMIT`, in any case) in what the client sends, or how many bytes of it, from now on. */
  readonly at: string | number;
  /**
   * `'before'`: what holds it is not passed on, so that the server never sees it. `'after'`: it is, and the
   * connection is cut when the server answers: the answer is lost.
   */
  readonly when: 'before' | 'after';
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** The last bytes that the client sent, for a text may come in two parts. */
  tail: string;
  /** Cut at the server's next answer. */
  doomed: boolean;
}

export class TcpProxy {
  readonly port: number;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #cut: Cut | undefined;
  #bytes = 0;
  #onCut: (() => void) | undefined;
  /** How many connections were cut. */
  cuts = 0;

  private constructor(listener: Server) {
    this.#listener = listener;
    this.port = (listener.address() as { port: number }).port;
  }

  /** Listens on a free port, and passes all on to the port of the server. */
  static async to(port: number): Promise<TcpProxy> {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const proxy = new TcpProxy(listener);
    listener.on('connection', (client) => proxy.#accept(client, connect(port, '127.0.0.1')));
    return proxy;
  }

  /** Cuts the one connection that next meets the condition; resolves when it was cut. */
  cutNext(cut: Cut): Promise<void> {
    this.#cut = cut;
    this.#bytes = 0;
    return new Promise((resolve) => {
      this.#onCut = resolve;
    });
  }

  /** Cuts every connection now. */
  cutAll(): void {
    for (const pair of this.#pairs) this.#sever(pair);
  }

  async close(): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    this.cutAll();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket, server: Socket): void {
    const pair: Pair = { client, server, tail: '', doomed: false };
    this.#pairs.add(pair);
    client.on('data', (data) => this.#fromClient(pair, data));
    server.on('data', (data) => {
      if (pair.doomed) this.#sever(pair);
      else client.write(data);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('end', () => other.end());
      one.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  #fromClient(pair: Pair, data: Buffer): void {
    if (this.#meets(pair, data)) {
      const { when } = this.#cut!;
      this.#cut = undefined;
      if (when === 'before') {
        this.#sever(pair);
        return;
      }
      pair.doomed = true;
    }
    pair.server.write(data);
  }

  #meets(pair: Pair, data: Buffer): boolean {
    if (this.#cut === undefined) return false;
    const { at } = this.#cut;
    if (typeof at === 'number') {
      this.#bytes += data.length;
      return this.#bytes >= at;
    }
    const text = pair.tail + data.toString('latin1');
    pair.tail = text.slice(-at.length);
    return new RegExp(`\\b${at}\\b`, 'i').test(text);
  }

  #sever(pair: Pair): void {
    this.#pairs.delete(pair);
    this.cuts++;
    // A reset, as when the network or the machine behind it is gone.
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
    this.#onCut?.();
    this.#onCut = undefined;
  }
}
