#!/bin/sh
# Give login shells and PAM sessions the image's variables, as they are set now: write_profile.sh NAME...
# A container's first process gets them from the image, and so does what it starts. `bash -l`, `su -`, ssh and cron
# begin anew: Debian's /etc/profile replaces PATH, then reads /etc/profile.d; pam_env reads /etc/environment.
set -eu
profile=/etc/profile.d/cslr-images.sh environment=/etc/environment
IFS='
'
for name in "$@"; do
    case $name in
    '' | [0-9]* | *[!A-Z0-9_]*) echo "write_profile.sh: not the name of a variable: $name" >&2; exit 2 ;;
    esac
    value=$(printenv "$name") || { echo "write_profile.sh: not set: $name" >&2; exit 2; }
    # The two files are read by programs that quote differently: none of these is quoted in both.
    case $value in
    *[\'\"\\\`\$\#\&\;\|]* | *"$IFS"*) echo "write_profile.sh: cannot be written for all its readers: $name=$value" >&2; exit 2 ;;
    esac
done

touch "$environment"
for name in "$@"; do
    sed -i "/^$name=/d" "$environment"
done
for name in "$@"; do
    printf '%s="%s"\n' "$name" "$(printenv "$name")" >>"$environment"
done

cat >"$profile" <<'END'
# What the image sets, for shells that do not get it from the container. A variable that is set already stays.
END
for name in "$@"; do
    value=$(printenv "$name")
    if [ "$name" = PATH ]; then
        cat >>"$profile" <<END
# Whoever started the shell may have put more on PATH; /etc/profile has replaced that, so the first PATH is looked up.
PATH=\$(tr '\\0' '\\n' <"/proc/\$\$/environ" 2>/dev/null | sed -n 's/^PATH=//p')
case ":\$PATH:" in
*:/opt/env/bin:*) ;;
*) PATH='$value' ;;
esac
export PATH
END
    else
        printf "export %s=\"\${%s-%s}\"\n" "$name" "$name" "$value" >>"$profile"
    fi
done
chmod 644 "$profile" "$environment"
