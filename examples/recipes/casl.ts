// Abilities by CASL, built from the session's user for each request.
import { AbilityBuilder, createMongoAbility, subject, type MongoAbility } from '@casl/ability';
import {
  Controller,
  Delete,
  ForbiddenException,
  HttpCode,
  Module,
  NotFoundException,
  Param,
  UseGuards,
} from '@nestjs/common';
import { CurrentUser, SessionGuard, SessionModule, type SessionUser } from 'nestjs-sessions';

export interface Article {
  id: string;
  authorId: string;
}

type Ability = MongoAbility<['read' | 'delete', 'Article' | Article | 'all']>;

/** Who may do what. Roles are read with each request, so a change of roles counts at once. */
export function abilityFor({ id, roles }: SessionUser): Ability {
  const { can, build } = new AbilityBuilder<Ability>(createMongoAbility);
  can('read', 'Article');
  can('delete', 'Article', { authorId: id } as never);
  if (roles.includes('admin')) can('delete', 'all');
  return build();
}

const articles = new Map<string, Article>([
  ['1', { id: '1', authorId: 'ann' }],
  ['2', { id: '2', authorId: 'bob' }],
]);

@UseGuards(SessionGuard)
@Controller('articles')
class ArticleController {
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string, @CurrentUser() user: SessionUser) {
    const article = articles.get(id);
    if (!article) throw new NotFoundException();
    if (abilityFor(user).cannot('delete', subject('Article', { ...article }))) throw new ForbiddenException();
  }
}

@Module({ imports: [SessionModule.forRoot()], controllers: [ArticleController] })
export class ArticlesModule {}
