// The usual way to receive Stripe's webhooks in Node: fastify, the official SDK, ioredis with automatic pipelining.
// It verifies the signature, marks the event as seen, adds it to a stream, and answers when Redis has replied.

import Fastify from 'fastify';
import Redis from 'ioredis';
import Stripe from 'stripe';

const redis = new Redis({ path: process.env.REDIS_SOCKET, enableAutoPipelining: true });
const stripe = new Stripe('sk_test_unused');
const secret = process.env.STRIPE_WEBHOOK_SECRET;
const app = Fastify();

app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => done(null, body));

app.post('/webhook', async (request, reply) => {
  let event;
  try {
    event = stripe.webhooks.constructEvent(request.body, request.headers['stripe-signature'], secret);
  } catch (error) {
    return reply.code(400).send({ error: { code: 'signature', message: error.message } });
  }
  const first = await redis.set(`seen:${event.id}`, '1', 'EX', 2592000, 'NX');
  if (first) {
    await redis.xadd('events', '*', 'event', event.id, 'type', event.type, 'session', event.data.object.id, 'payload', request.body);
  }
  return { received: true, duplicate: !first };
});

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
