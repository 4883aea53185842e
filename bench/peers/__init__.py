"""Medusa and Vendure beside this service: the operations that all three have, in one run.

`python -m bench.peers`, or `make bench ARGS='--peers'`; never part of anything else. Needs Node 20.19 or
newer with npm, which installs the exact packages of each folder's `package-lock.json` into `var/bench/peers`,
without running their scripts. All three hold the small data set in a database of their own of one server.
Each has one process on the first core, NODE_ENV is `production`, PostgreSQL compiles no statements (`jit` is
off) and the load is that of `make bench`. They run in turns; each turn's speeds are compared.

What is not comparable:

- Vendure has GraphQL only, which parses, checks and resolves each query. It is asked for the fields that
  matter and for no others; Medusa likewise, by `fields`. Both answer texts in one language, this service in
  all. Vendure's list of a category has variants.
- Groups of customers have no time of validity, states or companies. Both hold only the segments that are in
  effect. Only the backend may ask which groups a customer is in; here a shopper asks.
- Both give the tree as a flat list in one request, for which the limit of Vendure's lists is raised; nested
  categories take Medusa many times as long. Here the answer is nested.
- Neither validates or redeems a coupon by itself: a code is applied to an open cart with one line, whose sums
  are computed anew and written. That is compared with validating, which writes nothing here, and with
  redeeming. A coupon is a promotion for both; Vendure reads all promotions (a thousand) for each cart. A cart
  gets up to five codes, one of each segment of its customer.
- Adding 200 members is answered with each row's outcome here, with the group there. Vendure also writes a
  line of history for each customer, this service its journal.
- This service keeps bodies of reads (docs/caching.md); the rows "first read" are of bodies that it does not
  have. Nothing that caches is put in front of Medusa or Vendure or switched on in them.
- Medusa has no Redis: events, locks and workflows are in its memory.
"""
