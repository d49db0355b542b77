// Package vault keeps secrets apart: it finds them in what is backed up, redacts the copies that go into plain archives,
// and seals the originals.
//
// Words: a secret is a value that gives access; a secret-bearing file is one that holds such a value. The contents of a
// vault are the secret-bearing files, whole, a list of the secrets for people, and commits that no remote has; they are
// one tar. To seal is to encrypt them with a key made from the vault password; the MAC authenticates the restore index,
// which names the sealed vault and every other file of the backup by its hash. A scanner looks for known secret values in
// what must not hold them.
//
// The order of a restore is the protection: MAC, then the name and the hashes in the index, and only then the vault.
// Section 10 of the repository's FORMAT.md is the specification of what is stored.
package vault
