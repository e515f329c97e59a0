-- The words of streaming clauses are no reserved words.
CREATE STREAM stream (emit BIGINT, trigger BIGINT, watermark VARCHAR, sink BIGINT, name BIGINT, "window" BIGINT);
SELECT emit, trigger, watermark, sink, name FROM stream WHERE emit > 0 EMIT APPEND;
SELECT watermark, sum(emit) AS append FROM STREAM stream GROUP BY watermark EMIT UPDATE;
SELECT s.emit AS update FROM stream AS s;
INSERT INTO stream VALUES (1, 2, 'a', 3, 4, 5);
CREATE SINK sink WITH (connector = 'memory');
INSERT INTO sink SELECT emit AS complete FROM stream EMIT APPEND WITH (name = 'query');
SELECT * FROM sink;
STOP QUERY query;
