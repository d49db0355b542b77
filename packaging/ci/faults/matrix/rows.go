package matrix

// Row is a fault to survive. docs/reliability.md is made from it.
type Row struct {
	// ID is what tests count under.
	ID string
	// Fault says what happens.
	Fault string
	// How says how it is brought about, and what of that is another thing on a Mac.
	How string
}

// Rows is the fault matrix, in its order.
var Rows = []Row{
	{"1", "killed at any call that changes a disk, during a backup", "SIGKILL before each call of `fsx`, in a child; by strace at each system call of the real program; by the clock. macOS: no strace, the rest as here"},
	{"2", "the same for prune, verify, drill, restore, export and the script with its children", "as row 1; the script is killed at each call of a tool that writes, before and after it"},
	{"3", "un-synced writes lost (power cut)", "all changes are recorded in-process and replayed up to each moment, in five forms of a disk that kept only what was synced. macOS: the same code; that the drive obeys F_FULLFSYNC can be seen on no machine"},
	{"4", "disk full", "ENOSPC and EDQUOT at each call; a real tmpfs of growing size (with it writes that end short). macOS: the calls only"},
	{"5", "EIO, EINTR, too many open files, at each call", "the fault seam; by strace for the real program"},
	{"6", "fsync fails once, then works", "the fault seam, each fsync; no file is ever synced a second time after that"},
	{"7", "rename across file systems or denied", "EXDEV and EACCES at each rename; two real file systems"},
	{"8", "little memory, 32 descriptors", "rlimits of the real program. macOS sets no limit on memory for a process: the descriptors only"},
	{"9", "destination read-only, vanishing, replaced by a look-alike", "real mounts, read-only, taken away and swapped during a run; EROFS at each call. macOS: the calls, and folders renamed"},
	{"10", "20 runs at once; runs beside each other", "processes behind one gate"},
	{"11", "suspended in the middle of a run", "SIGSTOP and SIGCONT at moments of a run; a clock that jumps while a Mac sleeps"},
	{"12", "clock set back and forward, daylight saving, 29 February, 53 weeks; years with gaps", "injected clock"},
	{"13", "a file changes, vanishes, grows, becomes a FIFO, link or folder while it is read", "writers that never rest, and changes between two calls"},
	{"14", "SQLite live: writers, long readers, exclusive lock, hot journal, empty, corrupt", "real databases under load in other processes"},
	{"15", "one flipped bit in every object", "every file of a repository, at several places of it; every bit of vault, chunk and index"},
	{"16", "an object missing, cut off, longer, swapped, of another backup", "every chunk and file of a small repository"},
	{"17", "manifest or index edited, replayed, of a later format, huge, deep, with duplicate keys", "forged repositories; fuzzing has its own command, `make fuzz`"},
	{"18", "the vault: fresh salts, nothing in the plain, the answers of other implementations", "OpenSSL. macOS: its LibreSSL"},
	{"19", "10,000 wrong passwords; passwords with anything in them", "in Go, and in the script with openssl"},
	{"20", "planted secrets of every kind and place", "every byte of the repository, decompressed, is searched"},
	{"21", "a hostile backup: `..`, absolute names, links then children, devices, setuid", "forged repositories, consistent in themselves, and forged archives"},
	{"22", "names that are code: `$(x)`, `;`, newline, `-rf`, `*`, 255 bytes, case twins", "sample with such names, both restores. macOS: but for names its file system does not have"},
	{"23", "bombs: what decompresses without an end, a million entries, sparse files, deep paths", "forged objects; memory and written bytes are measured"},
	{"24", "restore into a full, read-only or used target; interrupted and run again; twice", "faults at each call of a restore; targets in use"},
	{"25", "stock tools only", "the script with a PATH of the tools of a fresh Mac, bash 3.2's grammar. macOS: with the tools themselves"},
	{"26", "no network, no brew, no pip, or failing ones", "stand-ins that fail, hang and are missing"},
	{"27", "agents: bad and binary lists, missing programs, duplicate labels, refusals", "a launchctl that records and answers by a script, with the exit codes of the real one: everything up to the call"},
	{"28", "OneDrive pending, stuck, over quota, signed out, evicted, with conflict copies, two accounts, unknown", "a provider that follows a script, over a real folder; File Provider's own answers are recorded texts: everything up to the call"},
	{"29", "Keychain locked, denied, absent, slow, empty", "gnome-keyring and a mute bus on Linux; for macOS a stand-in of /usr/bin/security: everything up to the call"},
	{"30", "notifications refused, a notifier that hangs, no bus", "a notification server that follows a script; channels that hang. macOS: everything up to the call"},
	{"31", "prune with an empty, shrunken or unreadable listing; manifests missing or renamed; foreign files", "spoiled repositories"},
	{"31a", "caches or state older than the repository; chunks deleted in OneDrive; a cloned machine; adoption", "spoiled repositories and state directories"},
	{"32", "upgrade and downgrade", "an archived repository of each format version; formats from the future"},
	{"33", "two faults at once; random operations against a model", "seeded: a failing seed is told and becomes a test"},
	{"34", "sabotage: ways to break a backup that a drill must find", "each applied to a whole backup, alone"},
}

// Find returns the row of an id.
func Find(id string) (Row, bool) {
	for _, r := range Rows {
		if r.ID == id {
			return r, true
		}
	}
	return Row{}, false
}
