// The names of identihook's keys in the local Redis: what a service that reads along would use.

const NAMESPACE = 'identihook';

export const key = (name) => `{${NAMESPACE}}:${name}`;
