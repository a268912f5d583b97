// node-postgres: what the extension promises its users, through this driver. Argument: the README's lines, one statement each.
//
// Rows come in the text protocol: a uuid is a string in JavaScript, a bigint too. `binary: true` is an experiment of the
// driver that has no reader for uuid, so that a cast to text is needed there.
'use strict'

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { pipeline } = require('node:stream/promises')
const pg = require('pg')
const copyFrom = require('pg-copy-streams').from

const cookie = (number) => 'c0000000-0000-4000-8000-' + String(number).padStart(12, '0')
const UNTYPED = 'select visitor_identity.resolve_visitor(provided_visitor_id => $1) as visitor_id'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const rows = async (client, sql, values) => (await client.query(sql, values)).rows
const resolve = async (client, id) => (await rows(client, UNTYPED, [id]))[0].visitor_id

async function readmeLines (client) {
  const answers = []
  for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n')) answers.push(await rows(client, line))
  assert.deepEqual(answers.slice(-3), [
    [{ chats: '2', visitors: '1' }],
    [{ his: true }, { his: true }],
    [{ chat_id: '2', provided_visitor_id: 'C-42' }]
  ])
}

async function textAndBinary (client) {
  const expected = await resolve(client, 'C-42')
  assert.match(expected, UUID)
  const sql = "select resolve_visitor::text as visitor_id from visitor_identity.resolve_visitor('C-42')"
  for (const binary of [false, true]) {
    assert.deepEqual((await client.query({ text: sql, values: [], binary })).rows, [{ visitor_id: expected }])
  }
}

async function preparedStatements (client) {
  const expected = await resolve(client, 'C-42')
  for (let run = 0; run < 20; run++) {
    const answer = await client.query({ name: 'resolve', text: UNTYPED, values: ['C-42'] })
    assert.equal(answer.rows[0].visitor_id, expected)
  }
  const [{ generic }] = await rows(client, "select generic_plans::int as generic from pg_prepared_statements where name = 'resolve'")
  assert(generic > 0, 'no generic plan was used')
}

async function copy (client) {
  const into = client.query(copyFrom('copy chat.chat (visitor_id, provided_visitor_id) from stdin'))
  await pipeline([`${cookie(100)}\t\\N\n`, `${cookie(100)}\tcopied\n`], into)
  assert.equal(into.rowCount, 2)
  assert.deepEqual(
    await rows(client, 'select distinct visitor_id from chat.chat where origin_visitor_id = $1', [cookie(100)]),
    [{ visitor_id: await resolve(client, 'copied') }]
  )
}

async function types (client) {
  await client.query(`create table ticket (visitor_id visitor_identity.visitor_id,
    crm_id visitor_identity.provided_visitor_id, telegram visitor_identity.channel_user_id)`)
  const answer = await client.query('insert into ticket values ($1, $2, $3) returning *', [cookie(1), 'C-42', '67854257'])
  assert.deepEqual(answer.rows, [{ visitor_id: cookie(1), crm_id: 'C-42', telegram: '67854257' }])
  const { UUID, TEXT } = pg.types.builtins
  assert.deepEqual(answer.fields.map((field) => field.dataTypeID), [UUID, TEXT, TEXT])
}

async function errors (client) {
  const sql = "select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => $1)"
  await assert.rejects(client.query(sql, ['t-17']), (error) => {
    assert(error instanceof pg.DatabaseError)
    assert.equal(error.code, '22023')
    assert(error.detail && error.hint, 'DETAIL and HINT are missing')
    assert(!`${error.message} ${error.detail} ${error.hint}`.includes('t-17'), 'the identifier is in the message')
    return true
  })
}

async function parameters (client) {
  const known = await resolve(client, 'C-42')
  const named = 'select visitor_identity.resolve_visitor(provided_visitor_id => $1, visitor_id => $2, account => $3) as visitor_id'
  const typed = 'select visitor_identity.resolve_visitor($1::text, null, null, $2::uuid, account => $3::text) as visitor_id'
  for (const sql of [named, typed]) {
    assert.deepEqual(await rows(client, sql, ['C-42', null, null]), [{ visitor_id: known }])
    assert.deepEqual(await rows(client, sql, ['C-42', known, 'default']), [{ visitor_id: known }])
  }
  // An id that is a number is a text here; the driver makes it one.
  assert.equal(await resolve(client, 42), await resolve(client, '42'))
}

async function arrays (client) {
  await client.query('insert into chat.chat (visitor_id) values ($1)', [cookie(1)])
  const sql = 'select * from visitor_identity.resolve_visitor_detail($1, visitor_id => $2)'
  const [first] = await rows(client, sql, ['array', cookie(1)])
  const [second] = await rows(client, sql, ['array', cookie(2)])
  assert.deepEqual([first.outcome, first.basis, first.rebound_chats], ['authorized', 'provided', '1'])
  assert.deepEqual(first.previous_visitor_ids, [cookie(1)])
  assert.match(first.rebind_ids.join(), /^\d+$/)
  assert.deepEqual([second.visitor_id, second.previous_visitor_ids], [first.visitor_id, []])
  assert.deepEqual(second.notes, ['unknown_visitor_id'])
}

async function login (client) {
  const chats = []
  for (let chat = 0; chat < 2; chat++) {
    chats.push((await rows(client, 'insert into chat.chat (visitor_id) values ($1) returning chat_id', [cookie(3)]))[0].chat_id)
  }
  const update = 'update chat.chat set provided_visitor_id = $1 where chat_id = $2 returning visitor_id'
  const [{ visitor_id: canonical }] = await rows(client, update, ['login', chats[1]])
  assert.notEqual(canonical, cookie(3))
  assert.deepEqual(
    await rows(client, 'select visitor_id, origin_visitor_id from chat.chat where chat_id = $1', [chats[0]]),
    [{ visitor_id: canonical, origin_visitor_id: cookie(3) }]
  )
}

async function history (client) {
  await client.query('update chat.chat set closed_at = now() where chat_id in (1, 2)')
  const visitor = await resolve(client, 'C-42')
  assert.deepEqual(
    await rows(
      client,
      'select chat_table, chat_key, visitor_id from visitor_identity.search_history($1) order by chat_key',
      ['C-42']
    ),
    [1, 2].map((chat) => ({
      chat_table: 'chat.chat', chat_key: { account: 'default', chat_id: chat }, visitor_id: visitor
    }))
  )
}

// The driver has no batch; a pool runs statements side by side.
async function pool (client) {
  const connections = new pg.Pool({ max: 5 })
  const ids = [0, 1, 2, 3, 4].map((number) => `pool ${number}`)
  const answers = await Promise.all([...ids, ...ids].map((id) => resolve(connections, id)))
  assert.deepEqual(answers.slice(5), answers.slice(0, 5))
  assert.equal(new Set(answers).size, 5)
  await connections.end()
}

async function main () {
  const client = new pg.Client()
  await client.connect()
  for (const promise of [
    readmeLines, textAndBinary, preparedStatements, copy, types, errors, parameters, arrays, login, history, pool
  ]) {
    await promise(client)
    console.log(`${promise.name}: ok`)
  }
  await client.end()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
