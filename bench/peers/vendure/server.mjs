// Serves Vendure as in production, without plugins. `node server.mjs prepare` makes its schema and the least that
// a shop needs, and ends. The database is that of the variables PGHOST, PGPORT, PGUSER and PGDATABASE.
import { LogLevel, DefaultLogger, bootstrap } from '@vendure/core';
import { populateInitialData } from '@vendure/core/cli/index.js';

const preparing = process.argv[2] === 'prepare';
const longest = 10_000; // entries of a list: the whole tree is asked for at once

const config = {
    apiOptions: {
        hostname: '127.0.0.1',
        port: Number(process.env.PORT ?? 0),
        adminApiPath: 'admin-api',
        shopApiPath: 'shop-api',
        adminListQueryLimit: longest,
        shopListQueryLimit: longest,
    },
    authOptions: {
        tokenMethod: ['bearer'],
        requireVerification: false,
        superadminCredentials: { identifier: 'backend', password: 'of-a-made-up-shop' },
    },
    dbConnectionOptions: {
        type: 'postgres',
        host: process.env.PGHOST,
        port: Number(process.env.PGPORT),
        username: process.env.PGUSER,
        password: process.env.PGPASSWORD,
        database: process.env.PGDATABASE,
        synchronize: preparing,
        logging: false,
    },
    logger: new DefaultLogger({ level: LogLevel.Error }),
    paymentOptions: { paymentMethodHandlers: [] },
};

const initialData = {
    defaultLanguage: 'en',
    defaultZone: 'Europe',
    countries: [{ name: 'Germany', code: 'DE', zone: 'Europe' }],
    taxRates: [{ name: 'Standard Tax', percentage: 19 }],
    shippingMethods: [],
    paymentMethods: [],
    collections: [],
};

const app = await bootstrap(config);
if (preparing) {
    await populateInitialData(app, initialData);
    await app.close();
    process.exit();
}
