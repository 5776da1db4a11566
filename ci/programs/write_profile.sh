#!/bin/sh
# Give login shells and PAM sessions the image's variables: write_profile.sh NAME=VALUE...
# A container's first process gets them from the image, and so does what it starts. `bash -l`, `su -`, ssh and cron
# begin anew: Debian's /etc/profile replaces PATH, then reads /etc/profile.d; pam_env reads /etc/environment.
set -eu
profile=/etc/profile.d/cslr-images.sh environment=/etc/environment
IFS='
'
for variable in "$@"; do
    name=${variable%%=*} value=${variable#*=}
    case $variable in
    [A-Z_]*=*) ;;
    *) echo "write_profile.sh: not NAME=VALUE: $variable" >&2; exit 2 ;;
    esac
    # The two files are read by programs that quote differently: none of these is quoted in both.
    case $name$value in
    *[\'\"\\\`\$\#\&\;\|]* | *"$IFS"*) echo "write_profile.sh: cannot be written for all its readers: $variable" >&2; exit 2 ;;
    esac
    case $name in
    *[!A-Z0-9_]*) echo "write_profile.sh: not the name of a variable: $name" >&2; exit 2 ;;
    esac
done

touch "$environment"
for variable in "$@"; do
    sed -i "/^${variable%%=*}=/d" "$environment"
done
for variable in "$@"; do
    printf '%s="%s"\n' "${variable%%=*}" "${variable#*=}" >>"$environment"
done

cat >"$profile" <<'END'
# What the image sets, for shells that do not get it from the container. A variable that is set already stays.
END
for variable in "$@"; do
    name=${variable%%=*} value=${variable#*=}
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
