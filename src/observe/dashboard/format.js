// Numbers and times as people read them. Times are microseconds since the Unix epoch.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,234 up to 99,999; 1.2M above. */
export const number = (value) => (Math.abs(value) < 100000 ? whole.format(value) : compact.format(value));

/** A rate with as many digits as mean something. */
export function rate(value) {
  if (value < 0.05) return "0";
  return value < 10 ? value.toFixed(1) : whole.format(value);
}

/** 4 s, 3 min, 2 h, 5 days. */
export function span(micros) {
  const seconds = Math.max(0, Math.round(micros / 1e6));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const ago = (at, now) => (now - at < 1.5e6 ? "just now" : `${span(now - at)} ago`);

/** What is left until `at`; empty once it has passed. */
export const left = (at, now) => (at && at > now ? `${span(at - now)} more` : "");

/** The time of day, for logs of events. */
export const clock = (at) => new Date(at / 1000).toLocaleTimeString("en-GB");

/** The tone of an actor's state. */
export function tone(state, reason) {
  switch (state) {
    case "running": return "good";
    case "waiting": return /^(mailbox|database|store):/.test(reason ?? "") ? "bad" : "warn";
    case "paused": return "warn";
    case "starting": return "busy";
    case "restarting": return "bad";
    case "failed": return "bad";
    default: return "quiet";
  }
}
