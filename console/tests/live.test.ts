import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { CLOSE_SIGNED_OUT, LiveStream, SILENCE_MAX_MS } from "../src/api/live";
import type { Delta } from "../src/api/types";

/** The wire's side of a WebSocket: what the server sends, and when it hangs up. */
class Wire {
  static all: Wire[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  isClosed = false;
  constructor() {
    Wire.all.push(this);
  }
  close(): void {
    this.isClosed = true;
  }
  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const snapshot = { type: "snapshot", seq: 0, devices: [], cases: [], areas: [] };
const delta = (seq: number) => ({ type: "delta", seq, at_ms: 1, deltas: [{ kind: "event" }] });

function follow() {
  const seen = { snapshots: 0, deltas: 0, connected: [] as boolean[], signedOut: 0, serverMs: 0 };
  const stream = new LiveStream(
    "ws://test/live",
    {
      snapshot: () => (seen.snapshots += 1),
      deltas: (rows: Delta[]) => (seen.deltas += rows.length),
      status: () => undefined,
      clock: (serverMs: number) => (seen.serverMs = serverMs),
      connected: (is) => seen.connected.push(is),
      signedOut: () => (seen.signedOut += 1),
    },
    () => new Wire() as unknown as WebSocket,
  );
  stream.start();
  return { seen, stream };
}

const latest = (): Wire => Wire.all[Wire.all.length - 1] as Wire;

describe("the live stream", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    Wire.all = [];
  });
  afterEach(() => vi.useRealTimers());

  it("takes a snapshot and the deltas that follow it", () => {
    const { seen } = follow();
    latest().says(snapshot);
    latest().says(delta(1));
    latest().says(delta(2));
    expect(seen).toMatchObject({ snapshots: 1, deltas: 2, connected: [true], serverMs: 1 });
    latest().says({ type: "ping", at_ms: 7 });
    expect(seen.serverMs).toBe(7);
  });

  it("drops a connection with a gap and starts over with a snapshot", () => {
    const { seen } = follow();
    const first = latest();
    first.says(snapshot);
    first.says(delta(2));
    expect(first.isClosed).toBe(true);
    expect(seen.deltas).toBe(0);
    expect(seen.connected).toEqual([true, false]);
    vi.advanceTimersByTime(1000);
    expect(Wire.all).toHaveLength(2);
    latest().says(snapshot);
    expect(seen.snapshots).toBe(2);
  });

  it("takes a fresh snapshot in the middle and counts from it", () => {
    const { seen } = follow();
    latest().says(snapshot);
    latest().says(delta(1));
    latest().says(snapshot);
    latest().says(delta(1));
    expect(seen).toMatchObject({ snapshots: 2, deltas: 2 });
  });

  it("says that it is not live when the server falls silent", () => {
    const { seen } = follow();
    latest().says(snapshot);
    vi.advanceTimersByTime(SILENCE_MAX_MS + 1);
    expect(seen.connected).toEqual([true, false]);
  });

  it("a ping keeps it alive", () => {
    const { seen } = follow();
    latest().says(snapshot);
    vi.advanceTimersByTime(SILENCE_MAX_MS - 1);
    latest().says({ type: "ping", at_ms: 1 });
    vi.advanceTimersByTime(SILENCE_MAX_MS - 1);
    expect(seen.connected).toEqual([true]);
  });

  it("does not come back after the session is over", () => {
    const { seen } = follow();
    latest().says(snapshot);
    latest().onclose?.({ code: CLOSE_SIGNED_OUT });
    vi.advanceTimersByTime(60_000);
    expect(seen.signedOut).toBe(1);
    expect(Wire.all).toHaveLength(1);
  });
});
