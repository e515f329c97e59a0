-- ONCE takes everything in one batch, AVAILABLE NOW in as many as there are steps; both end.
CREATE STREAM s (v BIGINT);
CREATE SINK out WITH (connector = 'console');
INSERT INTO s VALUES (1), (2);
INSERT INTO s VALUES (3);
INSERT INTO out SELECT v FROM s TRIGGER ONCE WITH (name = 'once', checkpoint = '${TMP}/once');
INSERT INTO out SELECT v FROM s TRIGGER AVAILABLE NOW WITH (name = 'now', checkpoint = '${TMP}/now');
INSERT INTO s VALUES (4);
INSERT INTO out SELECT v FROM s TRIGGER ONCE WITH (name = 'once', checkpoint = '${TMP}/once');
INSERT INTO out SELECT v FROM s TRIGGER AVAILABLE NOW WITH (name = 'now', checkpoint = '${TMP}/now');
INSERT INTO out SELECT v FROM s TRIGGER EVERY '5 seconds' WITH (name = 'every');
INSERT INTO s VALUES (5);
