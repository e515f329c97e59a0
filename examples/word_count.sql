-- The classic: counts the words that come over a socket.
--
--   nc -lk 9999                                          in one terminal: type here
--   cargo run --release -- run examples/word_count.sql   in another

CREATE STREAM lines (value VARCHAR) WITH (connector = 'socket', host = 'localhost', port = '9999');

SELECT word, count(*) AS count
FROM (SELECT unnest(string_to_array(value, ' ')) AS word FROM lines)
WHERE word <> ''
GROUP BY word
EMIT COMPLETE;
