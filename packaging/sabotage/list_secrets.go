package main

// secrets breaks what keeps them: finding, redacting, sealing, proving, handing over.
var secrets = []mutation{
	{
		what: "any MAC is accepted",
		file: "engine/vault/mac.go", old: "!hmac.Equal(sum[:], m.sum[:])", new: "hmac.Equal(nil, sum[:])",
		pkg: "engine/vault", run: "^TestCheck$",
	},
	{
		what: "a MAC of few rounds is accepted",
		file: "engine/vault/seal.go", old: "if n < MinIterations || n > MaxIterations {", new: "if n < 1 || n > MaxIterations {",
		pkg: "engine/vault", run: "^TestParseMAC$",
	},
	{
		what: "two keys of one salt are accepted",
		file: "engine/vault/seal.go", old: "if k.vaultSalt == k.macSalt {", new: "if k == nil {",
		pkg: "engine/vault", run: "^TestNewKeysRefuses$",
	},
	{
		what: "a password prints",
		file: "engine/vault/seal.go", old: "func (Password) Format(s fmt.State, _ rune) { io.WriteString(s, hiddenText) }", new: "func (p Password) Format(s fmt.State, _ rune) { _, _ = s.Write(p.Reveal()) }",
		pkg: "engine/vault", run: "^TestNothingPrintsSecrets$",
	},
	{
		what: "the scan looks for values only as they are",
		file: "engine/vault/scan.go", old: "if len(b) >= MinNeedle {", new: "if len(b) >= MinNeedle && form == Plain {",
		pkg: "engine/vault", run: "^TestScannerFindsEncodedValues$",
	},
	{
		what: "a redacted copy is not looked through for what remains",
		file: "engine/vault/redact.go", old: "if err := r.check(kind, out); err != nil {", new: "if err := error(nil); err != nil {",
		pkg: "engine/vault", run: "^TestRedact",
	},
	{
		what: "secret-bearing files are not redacted",
		file: "engine/secrets.go", old: "o.redacted, o.redactErr = vault.Redact(f.Kind, o.body, o.found)", new: "o.redacted = o.body",
		pkg: "engine", run: "^TestNoPassword$",
	},
	{
		what: "what a scan finds in a text file is published",
		file: "engine/secrets_scan.go", old: "if len(moved) > 0 {", new: "if len(moved) < 0 {",
		pkg: "engine", run: "^TestSecretInText$",
	},
	{
		what: "what this program writes itself is not scanned",
		file: "engine/readback.go", old: "if len(b.own) > 0 {", new: "if len(b.own) < 0 {",
		pkg: "engine", run: "^TestRedactionOff$",
	},
	{
		what: "the scan ends behind the first of many values",
		file: "engine/secrets.go", old: "s.needles = append(s.needles, vault.Needle{", new: "s.needles = append(s.needles[:0], vault.Needle{",
		pkg: "engine", run: "^TestSecretInText$",
	},
	{
		what: "a restore believes a manifest that the MAC does not prove",
		file: "engine/restore_vault.go", old: "if manifest < 0 || x.Files[manifest].SHA256 != repository.SumHash(r.raw) {", new: "if manifest < 0 {",
		pkg: "engine", run: "^TestForgedManifest$",
	},
	{
		what: "a backup without a vault passes where a password has to prove it",
		file: "engine/restore_vault.go", old: "if r.opt.OnlyProven && m.PasswordNumber == 0 {", new: "if r.opt.OnlyProven && m.PasswordNumber < 0 {",
		pkg: "engine", run: "^TestStripped$",
	},
	{
		what: "a Keychain item is not read back",
		file: "keychain/guard.go", old: "if subtle.ConstantTimeCompare(got.Bytes(), secret.Bytes()) != 1 {", new: "if subtle.ConstantTimeCompare(got.Bytes(), secret.Bytes()) > 1 {",
		pkg: "keychain", run: "^TestGuardReadsBack$",
	},
	{
		what: "an empty answer of the Keychain is a password",
		file: "keychain/guard.go", old: "if len(b) == 0 {", new: "if b == nil && g == nil {",
		pkg: "keychain", run: "^TestGuardEmptyRead$",
	},
	{
		what: "the password is an argument of the security tool",
		file: "keychain/security.go", old: `append(args, "-w")...`, new: `append(args, "-w", string(secret))...`,
		pkg: "keychain", run: "^TestSecurityTool",
	},
	{
		what: "an error of the security tool quotes what it printed",
		file: "keychain/security.go", old: `return nil, fmt.Errorf("run security: exit status %d", result.Exit)`, new: `return nil, fmt.Errorf("run security: exit status %d: %s", result.Exit, result.Stderr)`,
		pkg: "keychain", run: "^TestSecurityTool",
	},
	{
		what: "a password stays in the environment of an agent that is taken over",
		file: "launchd/agent.go", old: "delete(env, name)", new: "_ = name",
		pkg: "launchd", run: "^Test(Over|OverThePlan)$",
	},
	{
		what: "an agent of another program is removed",
		file: "launchd/manager.go", old: `if st.File != "" && !st.Ours {`, new: `if st.File == "" && st.Ours {`,
		pkg: "launchd", run: "^TestForeign$",
	},
	{
		what: "stashes that are in no backup are not told",
		file: "engine/details.go", old: "case g.Stashes > b.details.stashes:", new: "case g.Stashes > 0 && b.details.bundle == nil:",
		pkg: "engine", run: "^TestStashTooLarge$",
	},
	{
		what: "the stashes behind the newest have no name in the bundle",
		file: "engine/component/git_bundle.go", old: "return nameStashes(b, stashes)", new: "return b, len(stashes), nil",
		pkg: "engine", run: "^TestGitHistory$",
	},
	{
		what: "a stash is taken to be based on what the remote may have no more",
		file: "engine/component/git_bundle.go", old: "without := g.surelyElsewhere(ctx, all)", new: "without := g.known()",
		pkg: "engine", run: "^TestStashOfGoneBranch$",
	},
	{
		what: "a branch is taken to stay on the remote for ever",
		file: "engine/component/git_bundle.go", old: "return without\n\t\t}", new: "return known\n\t\t}",
		pkg: "engine", run: "^TestNotAtRemote$",
	},
	{
		what: "a shallow clone's oldest commits are bundled as if nothing came before them",
		file: "engine/component/git_bundle.go", old: `strings.TrimSpace(string(out)) != "false" {`, new: `strings.TrimSpace(string(out)) == "" {`,
		pkg: "engine", run: "^TestShallow$",
	},
}
