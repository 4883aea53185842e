// Medusa as in production, without Redis: caches, events, locks and workflows are in its memory. No admin pages.
// The database is that of the variable DATABASE_URL.
const { defineConfig } = require('@medusajs/framework/utils')

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false, sslmode: 'disable' },
    http: {
      jwtSecret: process.env.JWT_SECRET,
      cookieSecret: process.env.JWT_SECRET,
      storeCors: '',
      adminCors: '',
      authCors: '',
    },
  },
})
