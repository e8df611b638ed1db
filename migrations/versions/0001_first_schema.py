"""The first schema: people, films, views, snapshots, runs with their numbers, what is on air, and the search index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# The search index comes twice: one side is asked while the other is filled for the next catalogue. Autogenerate sees
# none of it.
SEARCH = (
    "CREATE TABLE search_titles{side} (position INTEGER PRIMARY KEY, movie_id INTEGER NOT NULL, folded TEXT NOT NULL)",
    "CREATE INDEX ix_search_titles{side}_folded ON search_titles{side} (folded)",
    "CREATE VIRTUAL TABLE search_prefix{side} USING fts5(folded, content='', tokenize='unicode61 remove_diacritics 0', "
    "prefix='1 2 3 4', detail=none, columnsize=0)",
    "CREATE VIRTUAL TABLE search_trigram{side} USING fts5(folded, content='', tokenize='trigram', detail=none, "
    "columnsize=0)",
    "CREATE TABLE search_trigrams{side} (trigram TEXT PRIMARY KEY, titles INTEGER NOT NULL) WITHOUT ROWID",
)


def upgrade() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_at", "login_attempts", ["at"])
    op.create_index("ix_login_attempts_name_key_at", "login_attempts", ["name_key", "at"])
    op.create_table(
        "movies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=400), nullable=False),
        sa.Column("sort_title", sa.String(length=400), nullable=False),
        sa.Column("other_titles", sa.JSON(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("genres", sa.JSON(), nullable=False),
        sa.Column("directors", sa.JSON(), nullable=False),
        sa.Column("actors", sa.JSON(), nullable=False),
        sa.Column("countries", sa.JSON(), nullable=False),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("runtime", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("released", sa.String(length=10), nullable=True),
        sa.Column("overview", sa.String(), nullable=True),
        sa.Column("poster_path", sa.String(length=200), nullable=True),
        sa.Column("imdb_id", sa.String(length=16), nullable=True),
        sa.Column("tmdb_id", sa.Integer(), nullable=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_movies"),
    )
    op.create_index("ix_movies_rank", "movies", ["rank"])
    op.create_index("ix_movies_sort_title", "movies", ["sort_title"])
    op.create_index("ix_movies_year", "movies", ["year"])
    op.create_table(
        "settings",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_settings"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("folder", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("viewers", sa.Integer(), nullable=False),
        sa.Column("movies", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("folder", name="uq_snapshots_folder"),
    )
    op.create_index("uq_snapshots_active", "snapshots", ["active"], unique=True, sqlite_where=sa.text("active"))
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("history_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("role IN ('user', 'admin', 'scientist')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name_key", name="uq_users_name_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "movie_genres",
        sa.Column("genre", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["movie_id"], ["movies.id"], name="fk_movie_genres_movie_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("genre", "rank", name="pk_movie_genres"),
    )
    op.create_index("ix_movie_genres_movie_id", "movie_genres", ["movie_id"])
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("orders", sa.JSON(), nullable=False),
        sa.Column("varied", sa.JSON(), nullable=False),
        sa.Column("snapshot_id", sa.Integer(), nullable=True),
        sa.Column("views_until", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_series_created_by", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_series_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("attempt_id", sa.String(length=36), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=True),
        sa.Column("cancel", sa.String(length=8), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("snapshot_id", sa.Integer(), nullable=True),
        sa.Column("views_until", sa.Integer(), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=True),
        sa.Column("events", sa.Integer(), nullable=True),
        sa.Column("artifact", sa.String(length=36), nullable=True),
        sa.Column("artifact_sha256", sa.String(length=64), nullable=True),
        sa.Column("artifact_bytes", sa.Integer(), nullable=True),
        sa.Column("code_version", sa.String(length=32), nullable=False),
        sa.Column("fit_seconds", sa.Double(), nullable=True),
        sa.Column("peak_memory", sa.Integer(), nullable=True),
        sa.Column("cpu_share", sa.Double(), nullable=True),
        sa.Column("memory", sa.Integer(), nullable=True),
        sa.Column("series_id", sa.Integer(), nullable=True),
        sa.Column("series_place", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("archived_at", sa.DateTime(), nullable=True),
        sa.Column("removed_at", sa.DateTime(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'lost')", name=op.f("ck_runs_state")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name="fk_runs_created_by", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_runs_series_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_runs_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("uq_runs_series", "runs", ["series_id", "series_place"], unique=True)
    op.create_table(
        "log_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_log_lines_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_log_lines"),
    )
    op.create_index("ix_log_lines_run_id", "log_lines", ["run_id"])
    op.create_index(
        "uq_runs_active", "runs", ["engine"], unique=True, sqlite_where=sa.text("state IN ('queued', 'running')")
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("proven_at", sa.DateTime(), nullable=False),
        sa.Column("renew", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "views",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Integer(), nullable=False),
        sa.Column("watched_at", sa.DateTime(), nullable=False),
        sa.Column("rating", sa.Double(), nullable=True),
        sa.Column("found_by", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("removed_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "rating IS NULL OR (rating BETWEEN 0.5 AND 5 AND rating * 2 = CAST(rating * 2 AS INTEGER))",
            name=op.f("ck_views_rating"),
        ),
        sa.ForeignKeyConstraint(["movie_id"], ["movies.id"], name="fk_views_movie_id", ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_views_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_views"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_views_history", "views", ["user_id", "watched_at", "id"])
    op.create_index("ix_views_movie_id", "views", ["movie_id"])
    op.create_index(
        "uq_views_live", "views", ["user_id", "movie_id"], unique=True, sqlite_where=sa.text("removed_at IS NULL")
    )
    op.create_table(
        "metric_rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("k", sa.Integer(), nullable=True),
        sa.Column("protocol", sa.String(length=32), nullable=False),
        sa.Column("segment", sa.String(length=64), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_metric_rows_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_metric_rows"),
    )
    op.create_index("ix_metric_rows_run", "metric_rows", ["run_id", "protocol", "split", "metric"])
    op.create_table(
        "measurements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=True),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name="fk_measurements_asked_by", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_measurements_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_measurements"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_measurements_open",
        "measurements",
        ["run_id", "protocol"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "serving",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_serving_single")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_serving_run_id", ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name="pk_serving"),
    )
    op.create_table(
        "serving_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("previous_run_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("known", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["previous_run_id"], ["runs.id"], name="fk_serving_changes_previous_run_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_serving_changes_run_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_serving_changes_user_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_serving_changes"),
    )
    op.create_table(
        "slates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("fallback", sa.String(), nullable=True),
        sa.Column("movie_ids", sa.JSON(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_slates_run_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_slates_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_slates"),
    )
    op.create_index("ix_slates_at", "slates", ["at"])
    op.create_index("ix_slates_user_id", "slates", ["user_id"])
    op.create_table(
        "llm_breaker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_llm_breaker_single")),
        sa.PrimaryKeyConstraint("id", name="pk_llm_breaker"),
    )
    op.create_table(
        "llm_calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("viewer_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["viewer_id"], ["users.id"], name="fk_llm_calls_viewer_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_llm_calls"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_llm_calls_at", "llm_calls", ["at"])
    op.create_index("ix_llm_calls_viewer", "llm_calls", ["viewer_id", "at"])
    op.create_table(
        "llm_answers",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("viewer_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["viewer_id"], ["users.id"], name="fk_llm_answers_viewer_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name="pk_llm_answers"),
    )
    op.create_index("ix_llm_answers_at", "llm_answers", ["at"])
    op.create_index("ix_llm_answers_viewer_id", "llm_answers", ["viewer_id"])
    for side in (0, 1):
        for statement in SEARCH:
            op.execute(statement.format(side=side))
    op.execute("CREATE TABLE search_side (side INTEGER NOT NULL CHECK (side IN (0, 1)))")
    op.execute("INSERT INTO search_side VALUES (0)")


def downgrade() -> None:
    for table in (
        "search_side",
        *(f"search_{name}{side}" for side in (1, 0) for name in ("trigrams", "trigram", "prefix", "titles")),
        "llm_answers",
        "llm_calls",
        "llm_breaker",
        "slates",
        "serving_changes",
        "serving",
        "measurements",
        "metric_rows",
        "views",
        "sessions",
        "log_lines",
        "runs",
        "series",
        "movie_genres",
        "users",
        "snapshots",
        "settings",
        "movies",
        "login_attempts",
    ):
        op.drop_table(table)
