/** A system notification for a new SOS, for the operator whose browser is behind another window. */

/** Must be called in a gesture; browsers ask the person only then. */
export async function allowNotifications(): Promise<void> {
  if ("Notification" in window && Notification.permission === "default")
    await Notification.requestPermission();
}

/** Show one notification for each case: `tag` replaces an earlier one of the same case. */
export function notify(title: string, body: string, tag: string): void {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const shown = new Notification(title, { body, tag, requireInteraction: true });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}
