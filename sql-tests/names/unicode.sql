-- Names and data beyond ASCII.
CREATE STREAM "größe" ("straße" VARCHAR, "数" BIGINT, ключ VARCHAR);
SELECT "straße", "数" * 2 AS "двойное", upper(ключ) AS "大" FROM "größe";
SELECT ключ, count(*) AS n, max("straße") AS "🦀" FROM "größe" GROUP BY ключ;
INSERT INTO "größe" VALUES ('Süd', 1, 'а'), ('日本', 2, 'б'), ('🦀🎉', 3, 'а'), ('', 4, '');
INSERT INTO "größe" VALUES ('é', 5, 'é'), ('é', 6, 'é');
DESCRIBE "größe";
