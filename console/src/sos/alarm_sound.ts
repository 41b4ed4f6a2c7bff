/**
 * The repeating alarm. Browsers keep silent until a gesture, so `isAllowed` is what the console
 * shows in red while it is false: a silent command room must look like one.
 */

import { ref } from "vue";

/** Two tones a fifth apart, high enough to cut through talk (ISO 7731: 500 to 2500 Hz). */
const TONES_HZ = [880, 1320] as const;
const TONE_S = 0.22;
const REPEAT_MS = 1200;
const LOUDNESS = 0.5;
const FADE_S = 0.015; // Without it every tone begins and ends with a click.

export class AlarmSound {
  readonly isAllowed = ref(false);
  readonly isRinging = ref(false);
  private context: AudioContext | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  /** Try to make sound possible; works only inside a gesture, or where the browser trusts us. */
  async allow(): Promise<void> {
    this.context ??= this.create();
    if (this.context.state !== "running") await this.context.resume();
    this.see();
  }

  /** Ask without a gesture: some browsers remember that this site may play. */
  probe(): void {
    this.context ??= this.create();
    this.see();
  }

  ring(isWanted: boolean): void {
    if (isWanted === this.isRinging.value) return;
    this.isRinging.value = isWanted;
    clearInterval(this.timer);
    if (!isWanted) return;
    this.chime();
    this.timer = setInterval(() => this.chime(), REPEAT_MS);
  }

  /** Play the two tones once. */
  chime(): void {
    const context = this.context;
    if (context === null || context.state !== "running") return;
    TONES_HZ.forEach((hertz, index) => {
      const start = context.currentTime + index * TONE_S;
      const oscillator = new OscillatorNode(context, { frequency: hertz, type: "square" });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(LOUDNESS, start + FADE_S);
      gain.gain.setValueAtTime(LOUDNESS, start + TONE_S - FADE_S);
      gain.gain.linearRampToValueAtTime(0, start + TONE_S);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(start);
      oscillator.stop(start + TONE_S);
    });
  }

  private create(): AudioContext {
    const context = new AudioContext();
    context.onstatechange = () => this.see();
    return context;
  }

  private see(): void {
    this.isAllowed.value = this.context?.state === "running";
    if (this.isAllowed.value && this.isRinging.value) this.chime();
  }
}

export const alarmSound = new AlarmSound();
