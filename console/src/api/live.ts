/**
 * The live stream: a snapshot, then deltas with contiguous numbers.
 *
 * Owns the socket's life. A gap in the numbers, silence or a closed socket all end the same way:
 * the connection is dropped and made anew, which brings a fresh snapshot. Until then the console
 * shows that it is not live.
 */

import type { Delta, LiveMessage, Snapshot } from "./types";

/** The server pings every 15 s; more than two missed pings mean that nobody is there. */
export const SILENCE_MAX_MS = 40_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;
/** Close code with which the server says that the session is over (application range, RFC 6455). */
export const CLOSE_SIGNED_OUT = 4401;

export interface LiveHandlers {
  snapshot(snapshot: Snapshot): void;
  deltas(deltas: Delta[]): void;
  status(isBusUp: boolean, isTelemetryUp: boolean): void;
  clock(serverMs: number): void;
  connected(isConnected: boolean): void;
  signedOut(): void;
}

export class LiveStream {
  private socket: WebSocket | null = null;
  private nextSeq = 0;
  private retryMs = RETRY_FIRST_MS;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(
    private readonly url: string,
    private readonly handlers: LiveHandlers,
    private readonly open: (url: string) => WebSocket = (address) => new WebSocket(address),
  ) {}

  start(): void {
    this.stopped = false;
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.drop();
  }

  private connect(): void {
    const socket = this.open(this.url);
    this.socket = socket;
    this.nextSeq = -1;
    this.expectWithin(SILENCE_MAX_MS);
    socket.onmessage = (message) => {
      if (socket === this.socket) this.take(JSON.parse(String(message.data)) as LiveMessage);
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      if (event.code === CLOSE_SIGNED_OUT) this.signOut();
      else this.again();
    };
  }

  private take(message: LiveMessage): void {
    this.expectWithin(SILENCE_MAX_MS);
    if (message.type === "ping" || message.type === "delta") this.handlers.clock(message.at_ms);
    if (message.type === "snapshot") {
      this.nextSeq = message.seq + 1;
      this.retryMs = RETRY_FIRST_MS;
      this.handlers.snapshot(message);
      this.handlers.connected(true);
    } else if (message.type === "delta") {
      if (message.seq !== this.nextSeq) return this.again();
      this.nextSeq += 1;
      this.handlers.deltas(message.deltas);
    } else if (message.type === "status") {
      this.handlers.status(message.bus, message.telemetry);
    }
  }

  private expectWithin(silenceMs: number): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.again(), silenceMs);
  }

  private signOut(): void {
    this.stop();
    this.handlers.signedOut();
  }

  private again(): void {
    this.drop();
    if (this.stopped) return;
    this.retry = setTimeout(() => this.connect(), this.retryMs);
    this.retryMs = Math.min(2 * this.retryMs, RETRY_MAX_MS);
  }

  private drop(): void {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.handlers.connected(false);
  }
}
