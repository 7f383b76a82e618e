// The tokens with which an application tells who its user is, made as any JWT library makes them.

import { createHmac } from 'node:crypto';

const encode = (part) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** A JSON Web Token, signed with `secret`; `head` and `claims` are taken as they are. */
export function signToken(claims, secret, head = { alg: 'HS256', typ: 'JWT' }) {
  const hash = `sha${/\d+$/.exec(head.alg)?.[0] ?? 256}`;
  const signed = `${encode(head)}.${encode(claims)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

/** The token of a user, good for `seconds`. */
export const userToken = (user, secret, { seconds = 600, ...claims } = {}) =>
  signToken({ sub: user, exp: Math.floor(Date.now() / 1000) + seconds, ...claims }, secret);
