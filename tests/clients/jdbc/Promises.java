import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** pgjdbc: what the extension promises its users, through this driver. Argument: the README's lines, one statement each. */
public final class Promises {
    private static final String UNTYPED = "select visitor_identity.resolve_visitor(provided_visitor_id => ?)";

    private static UUID cookie(long number) {
        return new UUID(0xc000000000004000L, 0x8000000000000000L + number);
    }

    private static void same(Object got, Object expected) {
        if (!expected.equals(got)) {
            throw new AssertionError("got " + got + ", expected " + expected);
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("socketFactory", "UnixSocket");
        properties.setProperty("socketFactoryArg", System.getenv("PGHOST") + "/.s.PGSQL." + System.getenv("PGPORT"));
        for (int option = 0; option < options.length; option += 2) {
            properties.setProperty(options[option], options[option + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://localhost/" + System.getenv("PGDATABASE"), properties);
    }

    private static PreparedStatement prepare(Connection connection, String sql, Object... parameters) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int parameter = 0; parameter < parameters.length; parameter++) {
            statement.setObject(parameter + 1, parameters[parameter]);
        }
        return statement;
    }

    /** All rows, each a list of what getObject gives. */
    private static List<List<Object>> read(ResultSet result) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) {
                row.add(result.getObject(column));
            }
            rows.add(row);
        }
        return rows;
    }

    private static List<List<Object>> rows(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(connection, sql, parameters)) {
            return read(statement.executeQuery());
        }
    }

    private static Object value(Connection connection, String sql, Object... parameters) throws SQLException {
        return rows(connection, sql, parameters).get(0).get(0);
    }

    private static void readmeLines(Connection connection, Path lines) throws Exception {
        List<List<List<Object>>> answers = new ArrayList<>();
        try (Statement statement = connection.createStatement()) {
            for (String line : Files.readAllLines(lines)) {
                answers.add(statement.execute(line) ? read(statement.getResultSet()) : List.of());
            }
        }
        int end = answers.size();
        same(answers.get(end - 3), List.of(List.of(2L, 1L)));
        same(answers.get(end - 2), List.of(List.of(true), List.of(true)));
        same(answers.get(end - 1), List.of(List.of(2L, "C-42")));
    }

    private static void textAndBinary(Connection connection) throws SQLException {
        Object expected = value(connection, UNTYPED, "C-42");
        String named = "select visitor_identity.resolve_visitor(provided_visitor_id => ?, visitor_id => ?)";
        // Simple queries with text; text; binary from the first execution on.
        String[][] protocols = {
            {"preferQueryMode", "simple"}, {"binaryTransfer", "false"}, {"binaryTransfer", "true", "prepareThreshold", "-1"}};
        for (String[] protocol : protocols) {
            try (Connection other = connect(protocol)) {
                same(value(other, UNTYPED, "C-42"), expected);
                same(value(other, named, "C-42", expected), expected);
            }
        }
    }

    private static void preparedStatements(Connection connection) throws SQLException {
        Object expected = value(connection, UNTYPED, "C-42");
        try (PreparedStatement statement = prepare(connection, UNTYPED, "C-42")) {
            check(statement.unwrap(PGStatement.class).getPrepareThreshold() == 5, "another prepareThreshold");
            for (int run = 0; run < 20; run++) {
                same(read(statement.executeQuery()), List.of(List.of(expected)));
            }
            Object generic = value(connection,
                "select sum(generic_plans)::int from pg_prepared_statements where statement like '%resolve_visitor%'");
            check((Integer) generic > 0, "no generic plan was used");
        }
    }

    private static void copy(Connection connection) throws Exception {
        UUID visitor = cookie(100);
        String rows = visitor + "\t\\N\n" + visitor + "\tcopied\n";
        long copied = connection.unwrap(PGConnection.class).getCopyAPI()
            .copyIn("copy chat.chat (visitor_id, provided_visitor_id) from stdin", new StringReader(rows));
        same(copied, 2L);
        same(rows(connection, "select distinct visitor_id from chat.chat where origin_visitor_id = ?", visitor),
            List.of(List.of(value(connection, UNTYPED, "copied"))));
    }

    private static void types(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("create table ticket (visitor_id visitor_identity.visitor_id,"
                + " crm_id visitor_identity.provided_visitor_id, telegram visitor_identity.channel_user_id)");
        }
        String insert = "insert into ticket values (?, ?, ?) returning *";
        for (int run = 0; run < 10; run++) {
            same(rows(connection, insert, cookie(1), "C-42", "67854257"), List.of(List.of(cookie(1), "C-42", "67854257")));
        }
    }

    private static void errors(Connection connection) throws SQLException {
        try {
            value(connection, "select visitor_identity.resolve_visitor(channel_type => 'telegram', channel_user_id => ?)", "t-17");
        } catch (PSQLException error) {
            same(error.getSQLState(), "22023");
            ServerErrorMessage message = error.getServerErrorMessage();
            check(message.getDetail() != null && message.getHint() != null, "DETAIL and HINT are missing");
            check(!error.getMessage().contains("t-17"), "the identifier is in the message");
            return;
        }
        throw new AssertionError("a malformed id was accepted");
    }

    private static void refused(Connection connection, String sql, Object... parameters) throws SQLException {
        try {
            value(connection, sql, parameters);
        } catch (SQLException error) {
            same(error.getSQLState(), "42883");
            return;
        }
        throw new AssertionError("pgjdbc sends this without a type now: say so in the README");
    }

    private static void parameters(Connection connection) throws SQLException {
        Object known = value(connection, UNTYPED, "C-42");
        String named = "select visitor_identity.resolve_visitor(provided_visitor_id => ?, visitor_id => ?, account => ?)";
        same(value(connection, named, "C-42", known, "default"), known);
        same(value(connection, named, "C-42", null, null), known);
        String typed = "select visitor_identity.resolve_visitor(?::text, null, null, ?::uuid)";
        same(value(connection, typed, "C-42", known.toString()), known);
        // pgjdbc tells PostgreSQL the types of the Java objects, so that there is no such function:
        // an id that is a number, a visitor_id that is a String.
        refused(connection, UNTYPED, 42);
        same(value(connection, UNTYPED.replace("?", "?::text"), 42), value(connection, UNTYPED, "42"));
        refused(connection, named, "C-42", known.toString(), "default");
        // Unless it is told not to.
        try (Connection other = connect("stringtype", "unspecified")) {
            same(value(other, named, "C-42", known.toString(), "default"), known);
        }
    }

    private static void arrays(Connection connection) throws SQLException {
        try (PreparedStatement statement = prepare(connection, "insert into chat.chat (visitor_id) values (?)", cookie(1))) {
            statement.execute();
        }
        String sql = "select * from visitor_identity.resolve_visitor_detail(?, visitor_id => ?)";
        Object canonical;
        try (ResultSet first = prepare(connection, sql, "array", cookie(1)).executeQuery()) {
            first.next();
            canonical = first.getObject("visitor_id", UUID.class);
            same(first.getString("outcome"), "authorized");
            same(first.getLong("rebound_chats"), 1L);
            same(Arrays.asList((UUID[]) first.getArray("previous_visitor_ids").getArray()), List.of(cookie(1)));
            same(((Long[]) first.getArray("rebind_ids").getArray()).length, 1);
        }
        try (ResultSet second = prepare(connection, sql, "array", cookie(2)).executeQuery()) {
            second.next();
            same(second.getObject("visitor_id"), canonical);
            same(((UUID[]) second.getArray("previous_visitor_ids").getArray()).length, 0);
            same(Arrays.asList((String[]) second.getArray("notes").getArray()), List.of("unknown_visitor_id"));
        }
    }

    private static void login(Connection connection) throws SQLException {
        List<Object> chats = new ArrayList<>();
        for (int chat = 0; chat < 2; chat++) {
            chats.add(value(connection, "insert into chat.chat (visitor_id) values (?) returning chat_id", cookie(3)));
        }
        String update = "update chat.chat set provided_visitor_id = ? where chat_id = ? returning visitor_id";
        Object canonical = value(connection, update, "login", chats.get(1));
        check(!canonical.equals(cookie(3)), "the login changed nothing");
        same(rows(connection, "select visitor_id, origin_visitor_id from chat.chat where chat_id = ?", chats.get(0)),
            List.of(List.of(canonical, cookie(3))));
    }

    private static void history(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("update chat.chat set closed_at = now() where chat_id in (1, 2)");
        }
        Object visitor = value(connection, UNTYPED, "C-42");
        String sql = "select chat_table::text, chat_key->>'chat_id', visitor_id from visitor_identity.search_history(?)"
            + " order by chat_key";
        same(rows(connection, sql, "C-42"), List.of(List.of("chat.chat", "1", visitor), List.of("chat.chat", "2", visitor)));
    }

    private static void batch(Connection connection) throws SQLException {
        String insert = "insert into chat.chat (provided_visitor_id) values (?)";
        // As it is, and as multi-row statements.
        for (String rewrite : List.of("false", "true")) {
            try (Connection other = connect("reWriteBatchedInserts", rewrite);
                    PreparedStatement statement = other.prepareStatement(insert)) {
                for (int number = 0; number < 5; number++) {
                    statement.setString(1, "batch " + number);
                    statement.addBatch();
                }
                same(statement.executeBatch().length, 5);
            }
        }
        for (int number = 0; number < 5; number++) {
            same(value(connection, "select count(*) from chat.chat where visitor_id = ?",
                value(connection, UNTYPED, "batch " + number)), 2L);
        }
    }

    private interface Promise {
        void keep(Connection connection) throws Exception;
    }

    private static void run(Connection connection, String name, Promise promise) throws Exception {
        promise.keep(connection);
        System.out.println(name + ": ok");
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection main = connect()) {
            run(main, "readmeLines", connection -> readmeLines(connection, Path.of(arguments[0])));
            run(main, "textAndBinary", Promises::textAndBinary);
            run(main, "preparedStatements", Promises::preparedStatements);
            run(main, "copy", Promises::copy);
            run(main, "types", Promises::types);
            run(main, "errors", Promises::errors);
            run(main, "parameters", Promises::parameters);
            run(main, "arrays", Promises::arrays);
            run(main, "login", Promises::login);
            run(main, "history", Promises::history);
            run(main, "batch", Promises::batch);
        }
    }
}
