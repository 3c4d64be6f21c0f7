// Whose page this is. A server that speaks in someone else's name answers /scripts/brand.js and /styles/brand.css itself; nothing else has to change.

/** What stands at the top, in the tab, and in the names of exported files. */
export const name = "Kidogo";

/** What requests to this server carry beside the usual, such as the token of a session. */
export const headers = {};
