"""Content of attachments: spooled while it arrives, kept in files or in an S3-compatible store, read as a stream."""
