// A stand-in for the application that sends its users to be verified: it knows who they are, signs a token that says so, and leads
// them to the page.

import { randomBytes } from 'node:crypto';

import { HttpServer } from '../../tests/lib/http_server.mjs';
import { userToken } from '../../tests/lib/user_token.mjs';

const TOKEN_SECONDS = 600;
const NAMES = ['alma', 'bela', 'carl', 'dora', 'emil', 'frida', 'gus', 'hanna'];

export class Shop extends HttpServer {
  #users = 0;

  /** `page` is the URL of /verify, `secret` what tokens are signed with. */
  static async start({ secret, page }) {
    const shop = new Shop(() => ({ status: 303, headers: { Location: shop.visit() } }));
    Object.assign(shop, { secret, page });
    await shop.listen();
    return shop;
  }

  /** Where somebody new is sent, with a token that is good for ten minutes. */
  visit() {
    const name = `${NAMES[this.#users++ % NAMES.length]}.${randomBytes(2).toString('hex')}`;
    const token = userToken(`user_${name}`, this.secret, { seconds: TOKEN_SECONDS, email: `${name}@example.com` });
    return `${this.page}#token=${token}`;
  }
}
