package main

import "strings"

// listStage tells a file from one with a second name in two places, of which each alone would do.
const listStage = `find . -type f -links 1 -print0 | encode_names f &&
      find . -type d ! -name . -print0 | encode_names d &&
      find . -type l -print0 | encode_names l &&
      find . ! -type d ! -type l ! \( -type f -links 1 \)`

// script breaks the restore that needs nothing installed. It is embedded in the program, from the file that is broken.
var script = []mutation{
	{
		what: "the script does not compare a chunk with its hash",
		file: "resources/restore_maia.sh", old: `if [ "$REPLY" != "$3" ]; then`, new: `if [ "$REPLY" = "$3" ] && false; then`,
		pkg: "resources", run: "^TestDamage$/^chunks",
	},
	{
		what: "the script does not compare files with their hashes",
		file: "resources/restore_maia.sh", old: "sum[FNR] == $12 { print; next }", new: "{ print; next }",
		pkg: "resources", run: "^TestDamage$/^chunks",
	},
	{
		what: "the script accepts any password",
		file: "resources/restore_maia.sh", old: `[ "${REPLY%% *}" = "$MAC" ]`, new: "true",
		pkg: "resources", run: "^TestPasswords$/^0$",
	},
	{
		what: "the script accepts a MAC of few rounds",
		file: "resources/restore_maia.sh", old: "iterations < 600000 ||", new: "",
		pkg: "resources", run: "^TestChangedVault$/^4$",
	},
	{
		what: "the script accepts a path with ..",
		file: "resources/restore_maia.sh", old: ` && s !~ /(^|\/)\.\.?(\/|$)/`, new: "",
		pkg: "resources", run: "^TestHostileIndex$",
	},
	{
		what: "the script restores below what is a link",
		file: "resources/restore_maia.sh", old: `if (up in kind && kind[up] != "d") fail(`, new: `if (0) fail(`,
		pkg: "resources", run: "^TestHostileIndex$",
	},
	{
		what: "the script restores the index of another backup",
		file: "resources/restore_maia.sh", old: `if (meta["backup"] != id) fail(`, new: `if (0) fail(`,
		pkg: "resources", run: "^Test(HostileIndex|OtherBackup)$",
	},
	{
		what: "the script takes hard links out of a tar",
		file: "resources/restore_maia.sh", old: listStage, new: strings.ReplaceAll(listStage, "-type f -links 1", "-type f"),
		pkg: "resources", run: "^TestHostileTar$",
	},
	{
		what: "the script deletes what is in the way",
		file: "resources/restore_maia.sh", old: `mv -n "$TO/$1" "$to" 2> /dev/null`, new: `rm -rf "${TO:?}/$1"`,
		pkg: "resources", run: "^TestTargetInUse$",
	},
	{
		what: "the script takes no lock",
		file: "resources/restore_maia.sh", old: "      if is_running \"$1\"; then\n", new: "      if false; then\n",
		pkg: "resources", run: "^TestLock$",
	},
	{
		what: "the script leaves its scratch behind",
		file: "resources/restore_maia.sh", old: `do remove_tree "$REPLY"; done`, new: "do :; done",
		pkg: "resources", run: "^Test(Leftovers|Interrupted)$",
	},
	{
		what: "the script writes the password to a file",
		file: "resources/restore_maia.sh", old: `PASSWORD=${PASSWORD%$'\n'}`, new: `PASSWORD=${PASSWORD%$'\n'}; printf '%s' "$PASSWORD" > "${TMPDIR:-/tmp}/pw"`,
		pkg: "resources", run: "^Test(SecretsStay|Vault)$",
	},
	{
		what: "the script loads agents of a backup that nothing proves",
		file: "resources/restore_maia.sh", old: `if [ -n "$AUTHENTICATED" ]; then plan_home; fi`, new: "plan_home",
		pkg: "resources", run: "^TestNoPassword$",
	},
	{
		what: "the script exits with 0 when something is missing",
		file: "resources/restore_maia.sh", old: "code=$INCOMPLETE\n    print_missing \"$REPLY\"", new: "print_missing \"$REPLY\"",
		pkg: "resources", run: "^TestHostileTar$",
	},
}
