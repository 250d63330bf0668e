DROP TABLE mailbox_identity;
