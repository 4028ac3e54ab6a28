/* What other users of the machine see of the command line.
 * Thread: the main one, before others start. */
#ifndef KEYFERRY_CMD_TITLE_H
#define KEYFERRY_CMD_TITLE_H

/* Overwrites in place with '*' the user and password of every URL and the value of every "...password=" in argv, which is what
 * /proc/PID/cmdline and `ps` show. The program works on copies made before. */
void process_title_hide_urls(int argc, char **argv);

#endif
