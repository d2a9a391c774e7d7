CREATE TABLE documents (
	collection VARCHAR NOT NULL,
	document_id VARCHAR NOT NULL,
	version VARCHAR NOT NULL,
	title TEXT NOT NULL,
	text TEXT NOT NULL,
	page_starts TEXT NOT NULL,
	metadata TEXT NOT NULL,
	chunks INTEGER NOT NULL,
	indexed_at VARCHAR NOT NULL,
	PRIMARY KEY (collection, document_id)
);
CREATE INDEX documents_by_version ON documents (collection, version);
CREATE TABLE files (
	collection VARCHAR NOT NULL,
	file VARCHAR NOT NULL,
	content_hash VARCHAR NOT NULL,
	PRIMARY KEY (collection, file)
);
CREATE TABLE sources (
	collection VARCHAR NOT NULL,
	source VARCHAR NOT NULL,
	document_id VARCHAR NOT NULL,
	own_id VARCHAR NOT NULL,
	position INTEGER NOT NULL,
	file VARCHAR NOT NULL,
	PRIMARY KEY (collection, source),
	FOREIGN KEY(collection, document_id) REFERENCES documents (collection, document_id)
);
CREATE INDEX sources_by_document ON sources (collection, document_id);
CREATE INDEX sources_by_own_id ON sources (collection, own_id);
CREATE INDEX sources_by_file ON sources (collection, file);
CREATE INDEX sources_by_position ON sources (collection, position);
CREATE TABLE jobs (
	id VARCHAR NOT NULL,
	collection VARCHAR NOT NULL,
	state VARCHAR NOT NULL,
	created_at VARCHAR NOT NULL,
	started_at VARCHAR,
	finished_at VARCHAR,
	report TEXT,
	reason TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX ix_jobs_state ON jobs (state);
INSERT INTO documents VALUES ('default', 'd1', 'v1', 'A', 'Old text.', '[]', '{}', 1, '2026-01-01T00:00:00+00:00');
INSERT INTO documents VALUES ('default', 'd2', 'v2', 'R', 'Old text.', '[]', '{}', 1, '2026-01-01T00:00:00+00:00');
INSERT INTO documents VALUES ('default', 'd3', 'v3', 'T', 'Old text.', '[]', '{}', 1, '2026-01-01T00:00:00+00:00');
INSERT INTO sources VALUES ('default', '/docs/a.md', 'd1', 'd1', 0, '/docs/a.md');
INSERT INTO sources VALUES ('default', 'rows.jsonl#r1', 'd2', 'r1', 1, 'rows.jsonl#r1');
INSERT INTO sources VALUES ('default', 'api:d3', 'd3', 'd3', 2, 'api:d3');
INSERT INTO files VALUES ('default', '/docs/a.md', 'abc');
INSERT INTO jobs VALUES ('job_1', 'default', 'done', '2026-01-01T00:00:00.000+00:00', NULL, NULL, NULL, NULL);
INSERT INTO jobs VALUES ('job_2', 'default', 'running', '2026-01-01T00:00:01.000+00:00', NULL, NULL, NULL, NULL);
